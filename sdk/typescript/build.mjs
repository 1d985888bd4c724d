#!/usr/bin/env node
// Builds one executable file of a plugin: claudemesh-plugin-build MAIN.ts OUTFILE.
// With --test, builds each file given into build/, with what it uses left outside.
import { chmodSync, mkdirSync } from "node:fs";
import { basename, dirname } from "node:path";
import { build } from "esbuild";

// The broker may start the file as /proc/self/fd/N, a descriptor that it has
// hashed. Without the flag node would look up which path that was and read the
// path, which may be another file by now, or none.
const banner = "#!/usr/bin/env -S node --preserve-symlinks-main";

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
  await build({ ...options, entryPoints: [main], outfile, banner: { js: banner }, legalComments: "eof" });
  chmodSync(outfile, 0o755);
} else {
  console.error(`usage: ${basename(process.argv[1])} MAIN.ts OUTFILE, or --test FILE.ts…`);
  process.exit(2);
}
