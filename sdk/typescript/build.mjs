#!/usr/bin/env node
// Builds one executable file of a plugin: claudemesh-plugin-build MAIN.ts OUTFILE.
// With --test, builds each file given into build/, with what it uses left outside.
import { chmodSync, mkdirSync } from "node:fs";
import { basename, dirname } from "node:path";
import { build } from "esbuild";

const options = {
  bundle: true,
  platform: "node",
  target: "node20",
  format: "cjs",
  loader: { ".proto": "text" },
  logLevel: "warning",
};

const args = process.argv.slice(2);
if (args[0] === "--test" && args.length > 1) {
  await build({ ...options, entryPoints: args.slice(1), outdir: "build", sourcemap: "inline" });
} else if (args.length === 2) {
  const [main, outfile] = args;
  mkdirSync(dirname(outfile), { recursive: true });
  await build({ ...options, entryPoints: [main], outfile, banner: { js: "#!/usr/bin/env node" }, legalComments: "eof" });
  chmodSync(outfile, 0o755);
} else {
  console.error(`usage: ${basename(process.argv[1])} MAIN.ts OUTFILE, or --test FILE.ts…`);
  process.exit(2);
}
