// The first line on standard output is the handshake, and the broker reads no
// other. Whatever else a program prints goes to standard error, where the
// broker's log picks it up. This has to be loaded before the rest.
import { Console } from "node:console";
import { writeSync } from "node:fs";

process.stdout.write = process.stderr.write.bind(process.stderr) as typeof process.stdout.write;
globalThis.console = new Console({ stdout: process.stderr, stderr: process.stderr });

/** Writes what does belong on standard output. */
export function writeStdout(line: string): void {
  writeSync(1, line + "\n");
}
