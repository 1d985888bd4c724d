// Between what authors see and what crosses the wire.
import type { WireEnvelope, WireVerdict } from "./protocol";
import { type Decision, type Envelope, type Match, priorities, targetKinds } from "./stage";

/** Values of a verdict on the wire; 0 is a failure. */
export const verdicts = { continue: 1, deny: 2, drop: 3 } as const;

const nanosPerMs = 1e6;

export function envelopeFromWire(wire: WireEnvelope): Envelope {
  const priority = priorities[wire.priority];
  const target = targetKinds[wire.target];
  if (priority === undefined || target === undefined) {
    throw new Error(`priority ${wire.priority} or target kind ${wire.target} is newer than this plugin`);
  }
  // Field by field: a decoded message has its defaults in its prototype, which a spread would lose.
  return {
    kind: wire.kind,
    mesh: wire.mesh,
    conn: wire.conn,
    priority,
    size: wire.size,
    arrived: new Date(wire.arrived / nanosPerMs),
    messageId: wire.messageId,
    target,
    targetKey: wire.targetKey,
    targetName: wire.targetName,
    member: wire.member,
    session: wire.session,
    memberId: wire.memberId,
    name: wire.name,
    remote: wire.remote,
    attributes: wire.attributes,
    audience: wire.audience,
    payloadHash: wire.payloadHash,
    payload: wire.payload,
    credential: wire.credential,
    trace: wire.trace,
  };
}

/**
 * Returns the exception for a decision, or nothing when it is the default, to
 * continue and change nothing.
 */
export function verdictToWire(index: number, d: Decision): WireVerdict | undefined {
  const verdict: number | undefined = verdicts[d.verdict];
  if (verdict === undefined) {
    throw new Error(`judge returned the verdict ${JSON.stringify(d.verdict)}; it has to be continue, deny or drop`);
  }
  const wire: WireVerdict = { index, verdict };
  if (d.verdict !== "continue") wire.reason = d.reason;
  if (d.verdict === "deny") {
    wire.text = d.text;
    if (d.retryAfterMs !== undefined) wire.retryAfterNanos = Math.round(d.retryAfterMs * nanosPerMs);
  }
  if (d.attributes?.length) wire.attributes = d.attributes;
  if (d.leaveOut?.length) wire.leaveOut = d.leaveOut;
  if (d.setPriority !== undefined) wire.setPriority = priorities.indexOf(d.setPriority) + 1;
  if (d.holdUntil !== undefined) wire.holdUntilNanos = d.holdUntil.getTime() * nanosPerMs;
  const isDefault = verdict === verdicts.continue && Object.keys(wire).length === 2;
  return isDefault ? undefined : wire;
}

export function matchToWire(m: Match): object {
  return {
    kinds: m.kinds ?? [],
    priorities: (m.priorities ?? []).map((p) => priorities.indexOf(p)),
    targets: (m.targets ?? []).map((t) => targetKinds.indexOf(t)),
    minSize: m.minSize ?? 0,
    maxSize: m.maxSize ?? 0,
  };
}
