// The broker's Plugin service, on its simple level: unary calls, feature "batch/1".
import { type sendUnaryData, type ServerUnaryCall, type ServiceDefinition, status, type UntypedServiceImplementation } from "@grpc/grpc-js";
import { matchToWire } from "./convert";
import { type Batch, type ConfigureRequest, type DrainRequest, maxMessage, pluginService, type ValidateRequest } from "./protocol";
import { Running } from "./running";
import type { Diagnostic, Program, Stage } from "./stage";

const minor = 0;            // version of plugin.proto within the major version of the handshake

/** What the program is written with. */
export const sdk = "typescript 0.1";

// The stream and the outcomes are not offered. Their calls get what gRPC says
// of methods that nobody implements.
export const offered: ServiceDefinition = without(pluginService, "Process", "ObserveBatch");

function without(service: ServiceDefinition, ...methods: string[]): ServiceDefinition {
  return Object.fromEntries(Object.entries(service).filter(([name]) => !methods.includes(name)));
}

/** CallError ends a call with a gRPC status. */
class CallError extends Error {
  constructor(readonly code: status, message: string) {
    super(message);
  }
}

/** Service answers the broker for a program. */
export class Service {
  private readonly instances = new Map<string, Running | undefined>(); // without a value: being opened
  private readonly calls = new Set<Promise<unknown>>();
  private ending = false; // no instance comes any more

  constructor(private readonly program: Program) {}

  /** What gRPC calls, by the methods' names in plugin.proto. */
  implementation(): UntypedServiceImplementation {
    return {
      Hello: this.unary(() => this.hello()),
      Describe: this.unary(() => this.describe()),
      Validate: this.unary((m: ValidateRequest) => this.validate(m)),
      Configure: this.unary((m: ConfigureRequest) => this.configure(m)),
      ProcessBatch: this.unary((m: Batch, signal) => this.processBatch(m, signal)),
      Drain: this.unary((m: DrainRequest) => this.drain(m)),
    };
  }

  /** Resolves when no call is in hand and every instance is closed. */
  async finish(): Promise<void> {
    this.ending = true;
    while (this.calls.size > 0) {
      await Promise.allSettled(this.calls);
    }
    await Promise.allSettled(this.all().map((running) => running.end()));
  }

  private unary<Request>(handle: (m: Request, signal: AbortSignal) => object | Promise<object>) {
    return (call: ServerUnaryCall<Request, object>, answer: sendUnaryData<object>): void => {
      const cancelled = new AbortController();
      call.on("cancelled", () => cancelled.abort(new CallError(status.CANCELLED, "the broker gave the call up")));
      const work = (async () => handle(call.request, cancelled.signal))().then(
        (response) => answer(null, response),
        (err: unknown) => {
          const code = err instanceof CallError ? err.code : status.INTERNAL;
          if (code === status.INTERNAL) console.error(err);
          answer({ code, details: err instanceof Error ? err.message : String(err) });
        },
      ).finally(() => this.calls.delete(work));
      this.calls.add(work);
    };
  }

  private hello(): object {
    return {
      minor,
      features: ["batch/1"],
      name: this.program.name,
      version: this.program.version,
      sdk,
      language: "typescript",
    };
  }

  private describe(): object {
    return {
      stages: this.program.stages.map((stage) => ({
        name: stage.name,
        summary: stage.summary,
        judges: true,
        observes: false,
        optionsSchema: json(stage.optionsSchema),
        optionsExample: json(stage.optionsExample),
        capabilities: stage.capabilities ?? [],
        match: matchToWire(stage.match ?? {}),
        idempotent: stage.idempotent ?? false,
      })),
    };
  }

  private validate(m: ValidateRequest): object {
    return { diagnostics: judgeOptions(this.stage(m.stage), m.options).diagnostics };
  }

  private async configure(m: ConfigureRequest): Promise<object> {
    const stage = this.stage(m.stage);
    if (m.instance === "") {
      throw new CallError(status.INVALID_ARGUMENT, "the instance has no name");
    }
    if (this.ending) {
      throw new CallError(status.UNAVAILABLE, "the program is ending");
    }
    if (this.instances.has(m.instance)) {
      throw new CallError(status.ALREADY_EXISTS, `there is an instance ${JSON.stringify(m.instance)}`);
    }
    const { options, diagnostics } = judgeOptions(stage, m.options);
    for (const capability of stage.capabilities ?? []) {
      if (!m.granted.includes(capability)) {
        diagnostics.push({ path: "", message: `${stage.name} cannot work without the capability ${capability}; grant it` });
      }
    }
    if (options === undefined || diagnostics.some((d) => !d.warning)) {
      return { diagnostics };
    }
    this.instances.set(m.instance, undefined);
    try {
      const instance = await stage.open(options, { link: m.link, granted: m.granted });
      this.instances.set(m.instance, new Running(instance));
      const match = instance.match;
      return { diagnostics, hasMatch: match !== undefined, ...(match && { match: matchToWire(match) }) };
    } catch (err) {
      this.instances.delete(m.instance);
      diagnostics.push({ path: "", message: `start: ${err instanceof Error ? err.message : String(err)}` });
      return { diagnostics };
    }
  }

  private async processBatch(m: Batch, cancelled: AbortSignal): Promise<object> {
    const running = this.running(m.instance);
    const late = new AbortController();
    const timer = setTimeout(
      () => late.abort(new CallError(status.DEADLINE_EXCEEDED, "the batch took longer than its deadline")),
      milliseconds(m.deadlineNanos),
    );
    try {
      const signal = AbortSignal.any([cancelled, late.signal]);
      const answer = await unlessAborted(running.judge(m, signal), signal);
      if (pluginService["ProcessBatch"]!.responseSerialize(answer).length > maxMessage) {
        throw new CallError(status.RESOURCE_EXHAUSTED, `the verdicts are longer than ${maxMessage} bytes`);
      }
      return answer;
    } finally {
      clearTimeout(timer);
    }
  }

  private async drain(m: DrainRequest): Promise<object> {
    const draining = m.instance === "" ? this.all() : [this.running(m.instance)];
    if (m.instance === "") {
      this.ending = true;
      this.instances.clear();
    }
    this.instances.delete(m.instance); // no more batches
    const done = Promise.all(draining.map((running) => running.end()));
    await within(done, milliseconds(m.deadlineNanos));
    return { unfinished: draining.reduce((sum, running) => sum + running.unfinished, 0) };
  }

  private all(): Running[] {
    return [...this.instances.values()].filter((running) => running !== undefined);
  }

  private running(name: string): Running {
    const running = this.instances.get(name);
    if (running === undefined) {
      throw new CallError(status.NOT_FOUND, `there is no instance ${JSON.stringify(name)}`);
    }
    return running;
  }

  private stage(name: string): Stage {
    const stage = this.program.stages.find((s) => s.name === name);
    if (stage === undefined) {
      throw new CallError(status.NOT_FOUND, `the program has no stage ${JSON.stringify(name)}`);
    }
    return stage;
  }
}

// judgeOptions reads options and has the stage judge them. Without options
// there is a diagnostic that is not a warning.
function judgeOptions(stage: Stage, bytes: Uint8Array): { options?: Record<string, unknown>; diagnostics: Diagnostic[] } {
  let parsed: unknown = {};
  try {
    if (bytes.length > 0) parsed = JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch (err) {
    return { diagnostics: [{ path: "", message: `the options are not JSON: ${String(err)}` }] };
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    return { diagnostics: [{ path: "", message: "the options have to be an object" }] };
  }
  const options = parsed as Record<string, unknown>;
  const judge = stage.validate ?? takesNone;
  return { options, diagnostics: [...judge.call(stage, options)] };
}

function takesNone(options: Record<string, unknown>): Diagnostic[] {
  return Object.keys(options).map((key) => ({ path: key, message: "unknown option; this stage takes none" }));
}

function json(value: object | undefined): Buffer {
  return value === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(value));
}

// milliseconds turns what is left of a deadline into what a timer takes, which
// is no more than 31 bits. 0 is no deadline.
function milliseconds(nanos: number): number {
  const most = 2 ** 31 - 1;
  return nanos > 0 ? Math.min(Math.ceil(nanos / 1e6), most) : most;
}

// unlessAborted settles as work does, or rejects as soon as the signal is
// aborted. Work goes on all the same.
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    work.then(resolve, reject);
  });
}

async function within(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => { timer = setTimeout(resolve, ms); });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
