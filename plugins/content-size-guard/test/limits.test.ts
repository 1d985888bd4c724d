import assert from "node:assert/strict";
import { test } from "node:test";
import { decide, limitsFrom, optionsSchema, type Sized, smallest, validate } from "../src/limits";

const message = (size: number, priority: Sized["priority"] = "next", target: Sized["target"] = "direct"): Sized => ({ size, priority, target });

test("validate", async (t) => {
  const all = "max_bytes, max_bytes_now, max_bytes_next, max_bytes_low, max_bytes_direct, max_bytes_group, max_bytes_broadcast, max_bytes_topic";
  const noLimit = (value: string) => `${value} is no limit; write a whole number of bytes, 1 or more`;
  const cases: [string, Record<string, unknown>, string[]][] = [
    ["it accepts one limit", { max_bytes: 1 }, []],
    ["it accepts limits below the general one", { max_bytes: 100, max_bytes_now: 10, max_bytes_topic: 99 }, []],
    ["it refuses an empty object", {}, [` no limit is set; set at least one of ${all}`]],
    ["it refuses an unknown key", { max_byte: 1 }, [`max_byte unknown option; the options are ${all}`]],
    ["it refuses 0", { max_bytes: 0 }, ["max_bytes " + noLimit("0")]],
    ["it refuses a fraction", { max_bytes_low: 1.5 }, ["max_bytes_low " + noLimit("1.5")]],
    ["it refuses a text", { max_bytes: "64KiB" }, ["max_bytes " + noLimit('"64KiB"')]],
    ["it refuses nothing", { max_bytes: null }, ["max_bytes " + noLimit("null")]],
    ["it refuses what is inherited", JSON.parse('{"__proto__": 1}'), [`__proto__ unknown option; the options are ${all}`]],
    ["it names every mistake", { a: 1, max_bytes: -1 }, [`a unknown option; the options are ${all}`, "max_bytes " + noLimit("-1")]],
    ["it warns of a limit without effect", { max_bytes: 100, max_bytes_now: 100 },
      ["warning: max_bytes_now has no effect: max_bytes is 100 and holds for all messages"]],
  ];
  for (const [name, options, want] of cases) {
    await t.test(name, () => {
      assert.deepEqual(validate(options).map((d) => `${d.warning ? "warning: " : ""}${d.path} ${d.message}`), want);
    });
  }
});

test("the schema has the options that validate knows", () => {
  for (const option of Object.keys(optionsSchema.properties)) {
    assert.deepEqual(validate({ [option]: 1 }), []);
  }
  assert.equal(optionsSchema.additionalProperties, false);
});

test("decide", async (t) => {
  const limits = limitsFrom({ max_bytes: 1000, max_bytes_now: 100, max_bytes_next: 500, max_bytes_broadcast: 50, max_bytes_topic: 400 });
  const cases: [string, Sized, string | undefined][] = [
    ["it lets the limit itself through", message(100, "now"), undefined],
    ["it refuses one byte more, and names a priority that lets it through", message(101, "now"),
      "the message has 101 bytes, and messages of priority now are refused over 100 bytes here (max_bytes_now); shorten it, split it, or send it with priority next"],
    ["it names the first priority that is enough", message(600, "now"),
      "the message has 600 bytes, and messages of priority now are refused over 100 bytes here (max_bytes_now); shorten it, split it, or send it with priority low"],
    ["it names no priority when none is enough", message(1001, "now"),
      "the message has 1001 bytes, and messages of priority now are refused over 100 bytes here (max_bytes_now); shorten it or split it"],
    ["it advises nothing more urgent", message(1001, "low"),
      "the message has 1001 bytes, and messages are refused over 1000 bytes here (max_bytes); shorten it or split it"],
    ["it takes the strictest limit", message(60, "now", "broadcast"),
      "the message has 60 bytes, and messages to everybody are refused over 50 bytes here (max_bytes_broadcast); shorten it or split it"],
    ["it holds a limit for its target only", message(450, "next", "group"), undefined],
    ["it refuses by target", message(450, "next", "topic"),
      "the message has 450 bytes, and messages to a topic are refused over 400 bytes here (max_bytes_topic); shorten it or split it"],
    ["it lets through what no target limit is for", message(1000, "low", "none"), undefined],
  ];
  for (const [name, envelope, text] of cases) {
    await t.test(name, () => {
      const want = text === undefined ? { verdict: "continue" } : { verdict: "deny", reason: "too_large_here", text };
      assert.deepEqual(decide(limits, envelope), want);
    });
  }
  await t.test("it needs no look at what is under every limit", () => assert.equal(smallest(limits), 50));
  await t.test("it lets everything through that has no limit", () => {
    assert.deepEqual(decide(limitsFrom({ max_bytes_group: 1 }), message(1e9)), { verdict: "continue" });
  });
});
