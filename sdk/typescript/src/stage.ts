// What an author writes and sees. Nothing of gRPC or protobuf is in it.

/** How urgent a message is, most urgent first. The order is that of the wire. */
export const priorities = ["now", "next", "low"] as const;
export type Priority = (typeof priorities)[number];

/** What form a target has; "none" for kinds of envelope without one. The order is that of the wire. */
export const targetKinds = ["none", "direct", "group", "broadcast", "topic"] as const;
export type TargetKind = (typeof targetKinds)[number];

/** Program is everything that one executable can do. */
export interface Program {
  /** Name of the program, in logs and in `broker plugin list`. */
  name: string;
  /** Version of the program, semver. */
  version: string;
  stages: readonly Stage[];
}

/** Stage is one kind of stage that the program can be. */
export interface Stage {
  name: string;
  /** One line for `broker plugin list`. */
  summary: string;
  /** JSON Schema (2020-12) of the options. Left out: the stage takes none. */
  optionsSchema?: object;
  /** Options that the schema and validate accept. */
  optionsExample?: object;
  /** What the stage cannot do without. The operator has to grant it. */
  capabilities?: readonly string[];
  /** Which envelopes cross at all; left out: every one. */
  match?: Match;
  /** Whether judging one envelope twice does no harm: batches of a process that crashed are then asked again. */
  idempotent?: boolean;

  /**
   * Says what is wrong with options, and changes nothing. Options are what the
   * operator wrote, any JSON object. A config with a diagnostic that is not a
   * warning does not start. Left out: everything but an empty object is refused.
   */
  validate?(options: Record<string, unknown>): Diagnostic[];

  /** Makes an instance. Options are free of errors by validate's judgement. */
  open(options: Record<string, unknown>, setup: Setup): Instance | Promise<Instance>;
}

/** Setup is what an instance is told about its place, beside its options. */
export interface Setup {
  /** Name in the pipeline, for logs. */
  link: string;
  /** Capabilities that the operator granted. */
  granted: readonly string[];
}

/** Instance is a stage with its options, at one place of the pipeline. */
export interface Instance {
  /** Replaces the stage's match, for these options. */
  match?: Match;

  /**
   * Judges one envelope. Envelopes of an instance come one at a time, in the
   * order in which the broker's calls arrive; what waits here makes all of them
   * wait. An error says nothing about the
   * envelope: the operator's failure policy then decides. The signal is aborted
   * when nobody waits for the answer any more.
   */
  judge(envelope: Envelope, signal: AbortSignal): Decision | Promise<Decision>;

  /** Called once, after the last envelope. */
  close?(): void | Promise<void>;
}

/** Diagnostic is one thing that is wrong with options. */
export interface Diagnostic {
  /** Dotted, such as "groups.0.from"; empty: the whole. */
  path: string;
  /** What is wrong and what to write. */
  message: string;
  /** Does not stop the start. */
  warning?: boolean;
}

/** Match says which envelopes cross; an envelope has to pass every field. */
export interface Match {
  /** Kinds, such as "send"; a "*" at the end stands for any rest. */
  kinds?: readonly string[];
  /** Holds for kinds with a target only, and targets too. */
  priorities?: readonly Priority[];
  targets?: readonly TargetKind[];
  /** Both bounds are included; 0 is no bound. */
  minSize?: number;
  maxSize?: number;
}

/**
 * Envelope is what a plugin may see. What needs a capability that was not
 * granted is empty, or a pseudonym where it says so: 32 bytes that stand for
 * one key within one instance.
 */
export interface Envelope {
  kind: string;
  mesh: string;
  /** Connection; 0 for HTTP and events. */
  conn: number;
  priority: Priority;
  /** Bytes of the frame. */
  size: number;
  /** Broker's clock. */
  arrived: Date;
  messageId: string;
  target: TargetKind;
  /** Pseudonym without identity.read. */
  targetKey: Uint8Array;
  /** Name of the group or topic; identity.read. */
  targetName: string;
  /** The sender's member key; pseudonym without identity.read. */
  member: Uint8Array;
  /** The sender's session key; pseudonym without identity.read. */
  session: Uint8Array;
  /** These three: identity.read. */
  memberId: string;
  name: string;
  remote: string;
  /** The stage's own; with attributes.read those of all stages. */
  attributes: readonly Attribute[];
  /** audience.read; keys are pseudonyms without identity.read. */
  audience: readonly { member: Uint8Array; session: Uint8Array }[];
  /** SHA-256 of the ciphertext; payload.hash. */
  payloadHash: Uint8Array;
  /** The ciphertext; payload.bytes. */
  payload: Uint8Array;
  /** The hello frame as it came; credential.read. */
  credential: Uint8Array;
  /** W3C traceparent, when the trace is sampled. */
  trace: string;
}

export interface Attribute {
  key: string;
  value: string;
}

/**
 * Decision is the answer for one envelope: "continue" hands it to the next
 * stage, "deny" stops it and tells the sender why, "drop" stops it and lets the
 * sender believe that it was delivered (verdict.drop).
 */
export type Decision =
  | ({ verdict: "continue" } & Changes)
  | ({ verdict: "deny"; reason: string; text: string; retryAfterMs?: number } & Changes)
  | ({ verdict: "drop"; reason: string } & Changes);

/** Changes are what a stage may do to an envelope beside judging it. */
export interface Changes {
  /** To note on the envelope: 16 of 1 KiB together. */
  attributes?: readonly Attribute[];
  /** Recipients to leave out, by index in audience; audience.read. */
  leaveOut?: readonly number[];
  /** priority.write. */
  setPriority?: Priority;
  /** Accepted and queued now, delivered no sooner; delivery.hold. */
  holdUntil?: Date;
}
