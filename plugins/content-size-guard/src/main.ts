// The program: one stage, served to the broker.
import { serve } from "claudemesh-plugin";
import { version } from "../package.json";
import { decide, limitsFrom, optionsSchema, smallest, validate } from "./limits";

serve({
  name: "content-size-guard",
  version,
  stages: [{
    name: "content-size-guard",
    summary: "refuses messages over a size by priority and target",
    optionsSchema,
    optionsExample: { max_bytes: 262144, max_bytes_now: 16384, max_bytes_broadcast: 8192 },
    match: { kinds: ["send"] },
    idempotent: true,
    validate,
    open(options) {
      const limits = limitsFrom(options);
      return {
        // What is under every limit need not cross at all.
        match: { kinds: ["send"], minSize: smallest(limits) + 1 },
        judge: (envelope) => decide(limits, envelope),
      };
    },
  }],
});
