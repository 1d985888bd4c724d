// The limits: how they are written, and what they mean for a message.
import type { Decision, Diagnostic, Envelope } from "claudemesh-plugin";

/** Limit is one option: which messages it holds for, and the words for them. */
interface Limit {
  option: string;
  applies(e: Sized): boolean;
  messages: string; // "… are refused over N bytes"
}

/** What a limit looks at: all of it is there without a capability. */
export type Sized = Pick<Envelope, "size" | "priority" | "target">;

// The one list of options. The schema, the diagnostics and the decision follow it.
const limits: readonly Limit[] = [
  { option: "max_bytes", applies: () => true, messages: "messages" },
  { option: "max_bytes_now", applies: (e) => e.priority === "now", messages: "messages of priority now" },
  { option: "max_bytes_next", applies: (e) => e.priority === "next", messages: "messages of priority next" },
  { option: "max_bytes_low", applies: (e) => e.priority === "low", messages: "messages of priority low" },
  { option: "max_bytes_direct", applies: (e) => e.target === "direct", messages: "messages to one recipient" },
  { option: "max_bytes_group", applies: (e) => e.target === "group", messages: "messages to a group" },
  { option: "max_bytes_broadcast", applies: (e) => e.target === "broadcast", messages: "messages to everybody" },
  { option: "max_bytes_topic", applies: (e) => e.target === "topic", messages: "messages to a topic" },
];

/** Limits by option, each in bytes. At least one is set. */
export type Limits = ReadonlyMap<string, number>;

export const optionsSchema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  description: "Limits in bytes of the whole frame. A message has to keep to every limit that holds for it.",
  properties: Object.fromEntries(limits.map(({ option, messages }) => [
    option,
    { type: "integer", minimum: 1, maximum: Number.MAX_SAFE_INTEGER, description: `largest size of ${messages}` },
  ])),
  additionalProperties: false,
  minProperties: 1,
};

/** Says what is wrong with options. */
export function validate(options: Record<string, unknown>): Diagnostic[] {
  const known = limits.map(({ option }) => option);
  const found: Diagnostic[] = [];
  for (const [key, value] of Object.entries(options)) {
    if (!known.includes(key)) {
      found.push({ path: key, message: `unknown option; the options are ${known.join(", ")}` });
    } else if (!Number.isSafeInteger(value) || (value as number) < 1) {
      found.push({ path: key, message: `${JSON.stringify(value)} is no limit; write a whole number of bytes, 1 or more` });
    }
  }
  if (Object.keys(options).length === 0) {
    found.push({ path: "", message: `no limit is set; set at least one of ${known.join(", ")}` });
  }
  const general = options["max_bytes"];
  if (found.length === 0 && typeof general === "number") {
    for (const [key, value] of Object.entries(options)) {
      if (key !== "max_bytes" && (value as number) >= general) {
        found.push({ path: key, message: `has no effect: max_bytes is ${general} and holds for all messages`, warning: true });
      }
    }
  }
  return found;
}

/** Reads options that validate found no error in. */
export function limitsFrom(options: Record<string, unknown>): Limits {
  return new Map(Object.entries(options) as [string, number][]);
}

/** The size that no message needs to be looked at up to. */
export function smallest(set: Limits): number {
  return Math.min(...set.values());
}

/** Refuses a message that is over a limit, and names the strictest one. */
export function decide(set: Limits, e: Sized): Decision {
  const over = strictest(set, e);
  if (over === undefined || e.size <= over.bytes) {
    return { verdict: "continue" };
  }
  return {
    verdict: "deny",
    reason: "too_large_here",
    text: `the message has ${e.size} bytes, and ${over.limit.messages} are refused over ${over.bytes} bytes here ` +
      `(${over.limit.option}); ${advice(set, e)}`,
  };
}

function strictest(set: Limits, e: Sized): { limit: Limit; bytes: number } | undefined {
  let found: { limit: Limit; bytes: number } | undefined;
  for (const limit of limits) {
    const bytes = set.get(limit.option);
    if (bytes !== undefined && limit.applies(e) && (found === undefined || bytes < found.bytes)) {
      found = { limit, bytes };
    }
  }
  return found;
}

// advice is what the sender can do: a less urgent priority, if one lets the
// message through, or less in one message.
function advice(set: Limits, e: Sized): string {
  for (const priority of ["next", "low"] as const) {
    const allowed = strictest(set, { ...e, priority })?.bytes ?? Infinity;
    const isLater = e.priority === "now" || (e.priority === "next" && priority === "low");
    if (isLater && e.size <= allowed) {
      return `shorten it, split it, or send it with priority ${priority}`;
    }
  }
  return "shorten it or split it";
}
