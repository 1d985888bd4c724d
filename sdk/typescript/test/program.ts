// A plugin for the tests: stages that wait, throw and print.
console.log("printed before serve");
import { serve } from "../src";

let releaseAll: () => void = () => {};

serve({
  name: "test-program",
  version: "0.0.1",
  stages: [
    {
      name: "plain",
      summary: "denies what is named in its size",
      capabilities: ["payload.hash"],
      optionsSchema: { type: "object" },
      validate: (options) => ("bad" in options ? [{ path: "bad", message: "is bad" }] : []),
      open: (options, setup) => ({
        match: { kinds: ["send"], minSize: Number(options["min"] ?? 0) },
        judge(e) {
          console.log("judging", e.size, "at", setup.link);
          switch (e.size) {
            case 1: return { verdict: "deny", reason: "one", text: "no ones", retryAfterMs: 1.5 };
            case 2: return { verdict: "drop", reason: "two" };
            case 3: throw new Error("three is broken");
            case 4: return { verdict: "continue", setPriority: "low", holdUntil: new Date(1000), leaveOut: [0] };
            case 5: return { verdict: "deny", reason: e.priority, text: `${e.target} ${e.arrived.toISOString()} ${e.kind}` };
            default: return { verdict: "continue" };
          }
        },
      }),
    },
    {
      name: "waiting",
      summary: "waits until a batch of another instance comes",
      open: (_options, setup) => ({
        async judge(e) {
          if (setup.link === "releaser") {
            releaseAll();
          } else if (e.size === 1) {
            await new Promise<void>((resolve) => { releaseAll = resolve; });
          }
          return { verdict: "continue" };
        },
        close: () => console.error(`closed ${setup.link}`),
      }),
    },
    {
      name: "spinning",
      summary: "never gives the event loop back",
      open: () => ({ judge() { for (;;); } }),
    },
    {
      name: "broken",
      summary: "does not open",
      open() { throw new Error("no database"); },
    },
  ],
});
