// The broker holds the other end of a pipe. When it closes, the broker is gone,
// however it ended, and the plugin ends at once.
import { Worker } from "node:worker_threads";

// It runs in a thread of its own, so that a stage that never gives the event
// loop back ends all the same.
const watch = `
  const { rmSync } = require("node:fs");
  const { Socket } = require("node:net");
  const { workerData } = require("node:worker_threads");
  new Socket({ fd: workerData.fd, readable: true, writable: false })
    .on("error", () => {})
    .on("close", () => {
      rmSync(workerData.socket, { force: true });
      process.kill(process.pid, "SIGKILL");
    })
    .resume();
`;

/** Ends the process, and removes its socket, when the descriptor is at its end. */
export function holdLifeline(fd: number, socket: string): void {
  const worker = new Worker(watch, { eval: true, execArgv: [], workerData: { fd, socket } });
  worker.on("error", (err) => {
    console.error(`the lifeline, descriptor ${fd}, cannot be read:`, err);
    process.exit(1);
  });
  worker.unref();
}
