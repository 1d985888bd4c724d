// The program of program.ts, started as the broker would, and called by a gRPC
// client over its socket.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, test, type TestContext } from "node:test";
import type { Readable, Writable } from "node:stream";
import assert from "node:assert/strict";
import * as grpc from "@grpc/grpc-js";
import { type Certificate, makeCertificate } from "../src/certificate";
import { brokerService, controllerService, healthService, maxMessage, pluginService, stdioService } from "../src/protocol";

const run = mkdtempSync(join(tmpdir(), "cmp-"));
after(() => rmSync(run, { recursive: true }));

interface Life {
  process: ChildProcess;
  lifeline: Writable;
  socket: string;
  server: string;  // certificate, PEM
  host: Certificate;
  stderr: () => string;
  client: grpc.Client;
}

/** Starts the program and makes a client that trusts its certificate alone. */
async function start(t: TestContext, env: Record<string, string> = {}): Promise<Life> {
  const host = await makeCertificate();
  const child = spawn(process.execPath, [join(__dirname, "program.js")], {
    stdio: ["ignore", "pipe", "pipe", "pipe"],
    env: {
      CLAUDEMESH_PLUGIN: "45ea274a8edd579542c3c2b479b1dc42202bdaa7c1578cb6f14beb63743f0beb",
      CLAUDEMESH_LIFELINE_FD: "3",
      PLUGIN_UNIX_SOCKET_DIR: run,
      PLUGIN_CLIENT_CERT: host.certificate,
      ...env,
    },
  });
  t.after(() => child.kill("SIGKILL"));
  let stderr = "";
  (child.stderr as Readable).setEncoding("utf8").on("data", (text: string) => { stderr += text; });
  const lines = createInterface(child.stdout as Readable);
  const [line] = (await once(lines, "line", { signal: AbortSignal.timeout(10_000) })) as [string];
  lines.on("line", (more) => assert.fail(`a second line on standard output: ${more}`));

  const [core, major, network, socket, protocol, certificate, ...rest] = line.split("|");
  assert.deepEqual({ core, major, network, protocol, rest }, { core: "1", major: "1", network: "unix", protocol: "grpc", rest: [] });
  assert.ok(socket?.startsWith(run + "/plugin"), socket);
  assert.match(certificate!, env["PLUGIN_CLIENT_CERT"] === "" ? /^$/ : /^[A-Za-z0-9+/]{100,}$/);
  const server = certificate === "" ? "" : `-----BEGIN CERTIFICATE-----\n${certificate}${"=".repeat((4 - (certificate!.length % 4)) % 4)}\n-----END CERTIFICATE-----\n`;
  const life: Life = { process: child, lifeline: child.stdio[3] as Writable, socket: socket!, server, host, stderr: () => stderr, client: undefined! };
  if (server !== "") life.client = connect(t, life, host);
  return life;
}

function connect(t: TestContext, life: Life, own: Certificate): grpc.Client {
  const credentials = grpc.credentials.createSsl(Buffer.from(life.server), Buffer.from(own.key), Buffer.from(own.certificate));
  const client = new grpc.Client(`unix:${life.socket}`, credentials, {
    "grpc.ssl_target_name_override": "localhost",
    "grpc.max_send_message_length": -1,
  });
  t.after(() => client.close());
  return client;
}

/** One unary call. Rejects with the gRPC error, which has a code. */
function call(client: grpc.Client, method: grpc.MethodDefinition<any, any> | undefined, message: object, ms = 5000): Promise<any> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(method!.path, method!.requestSerialize, method!.responseDeserialize, message, { deadline: Date.now() + ms },
      (err, answer) => (err ? reject(err) : resolve(answer)));
  });
}

const plugin = (life: Life, method: string, message: object, ms?: number) => call(life.client, pluginService[method], message, ms);
const options = (value: unknown) => Buffer.from(JSON.stringify(value));
const configure = (life: Life, instance: string, stage: string, link = instance) =>
  plugin(life, "Configure", { instance, stage, link, granted: ["payload.hash"] });
const batch = (instance: string, seq: number, ...envelopes: object[]) => ({ instance, seq, deadlineNanos: 5e9, envelopes });
/** A decoded message as a plain object, without what is empty. */
function plain(value: any): any {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).filter(([, v]) => !Array.isArray(v) || v.length > 0).map(([k, v]) => [k, plain(v)]));
}

/** Waits until the program has printed something; what it prints comes on a pipe of its own. */
async function printed(life: Life, want: RegExp): Promise<void> {
  const until = Date.now() + 5000;
  while (!want.test(life.stderr()) && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.match(life.stderr(), want);
}

/** Waits for the end, and returns the exit code or the signal. */
async function exit(life: Life): Promise<number | string> {
  const { exitCode, signalCode } = life.process;
  if (exitCode !== null || signalCode !== null) return exitCode ?? signalCode ?? "";
  const [code, signal] = (await once(life.process, "exit", { signal: AbortSignal.timeout(5000) })) as [number | null, string | null];
  return code ?? signal ?? "";
}

test("it says hello, describes itself and judges options", async (t) => {
  const life = await start(t);
  const hello = await plugin(life, "Hello", { minor: 7, features: ["stream/1", "from-the-future/9"], maxMessageBytes: maxMessage });
  assert.deepEqual(plain(hello), {
    features: ["batch/1"], name: "test-program", version: "0.0.1", sdk: "typescript 0.1", language: "typescript", minor: 0,
  });
  const { stages } = await plugin(life, "Describe", {});
  assert.deepEqual(stages.map((s: { name: string; judges: boolean; observes: boolean }) => [s.name, s.judges, s.observes]),
    [["plain", true, false], ["waiting", true, false], ["spinning", true, false], ["broken", true, false]]);
  assert.deepEqual(stages[0].capabilities, ["payload.hash"]);

  const judged = async (stage: string, text: string) =>
    (await plugin(life, "Validate", { stage, options: Buffer.from(text) })).diagnostics.map((d: { path: string; message: string }) => `${d.path}: ${d.message}`);
  assert.deepEqual(await judged("plain", "{}"), []);
  assert.deepEqual(await judged("plain", ""), []);
  assert.deepEqual(await judged("plain", '{"bad":1}'), ["bad: is bad"]);
  assert.deepEqual(await judged("plain", "[]"), [": the options have to be an object"]);
  assert.match((await judged("plain", "{"))[0], /^: the options are not JSON/);
  assert.deepEqual(await judged("waiting", '{"x":1}'), ["x: unknown option; this stage takes none"]);
  await assert.rejects(judged("nobody", "{}"), { code: grpc.status.NOT_FOUND });
  await printed(life, /printed before serve/);
});

test("it makes instances and answers batches with the exceptions", async (t) => {
  const life = await start(t);
  await assert.rejects(plugin(life, "ProcessBatch", batch("i1", 1, { size: 1 })), { code: grpc.status.NOT_FOUND });
  const without = await plugin(life, "Configure", { instance: "i0", stage: "plain", link: "a" });
  assert.match(without.diagnostics[0].message, /payload\.hash/);
  const made = await plugin(life, "Configure", { instance: "i1", stage: "plain", link: "a", granted: ["payload.hash"], options: options({ min: 7 }) });
  assert.deepEqual(plain(made), { hasMatch: true, match: { kinds: ["send"], minSize: 7, maxSize: 0 } });
  await assert.rejects(configure(life, "i1", "plain"), { code: grpc.status.ALREADY_EXISTS });

  const answer = await plugin(life, "ProcessBatch", batch("i1", 9,
    { size: 0 }, { size: 1 }, { size: 2 }, { size: 3 }, { size: 4 },
    { size: 5, kind: "send", priority: 2, target: 4, arrived: 1_700_000_000_123_456_789 }, { size: 6, target: 77 }));
  const { seq, count, defaultVerdict, exceptions } = plain(answer);
  assert.deepEqual({ seq, count, defaultVerdict }, { seq: 9, count: 7, defaultVerdict: 1 });
  assert.deepEqual(exceptions, [
    { index: 1, verdict: 2, reason: "one", text: "no ones", retryAfterNanos: 1_500_000 },
    { index: 2, verdict: 3, reason: "two" },
    { index: 3, verdict: 0, error: "Error: three is broken" },
    { index: 4, verdict: 1, leaveOut: [0], setPriority: 3, holdUntilNanos: 1e9 },
    { index: 5, verdict: 2, reason: "low", text: "topic 2023-11-14T22:13:20.123Z send" },
    { index: 6, verdict: 0, error: "Error: priority 0 or target kind 77 is newer than this plugin" },
  ]);
  await printed(life, /judging 5 at a/);
});

test("it does not offer the stream and the outcomes", async (t) => {
  const life = await start(t);
  await assert.rejects(plugin(life, "ObserveBatch", {}), { code: grpc.status.UNIMPLEMENTED });
  await assert.rejects(call(life.client, pluginService["Process"], {}), { code: grpc.status.UNIMPLEMENTED });
});

test("it keeps the order of batches and drains what is in hand", async (t) => {
  const life = await start(t);
  await configure(life, "slow", "waiting");
  await configure(life, "free", "waiting", "releaser");
  const done: number[] = [];
  const first = plugin(life, "ProcessBatch", batch("slow", 1, { size: 1 })).then(() => done.push(1));
  const second = plugin(life, "ProcessBatch", batch("slow", 2, { size: 2 })).then(() => done.push(2));
  await plugin(life, "Hello", {}); // the batches are there
  const late = await plugin(life, "Drain", { instance: "slow", deadlineNanos: 20e6 });
  assert.equal(late.unfinished, 2);
  await assert.rejects(plugin(life, "ProcessBatch", batch("slow", 3, { size: 2 })), { code: grpc.status.NOT_FOUND });
  await plugin(life, "ProcessBatch", batch("free", 1, { size: 1 }));
  await Promise.all([first, second]);
  assert.deepEqual(done, [1, 2]);
  assert.equal((await plugin(life, "Drain", { deadlineNanos: 1e9 })).unfinished, 0);
  await printed(life, /closed slow[^]*closed releaser/);
});

test("it gives a batch up at its deadline", async (t) => {
  const life = await start(t);
  await configure(life, "slow", "waiting");
  const sent = plugin(life, "ProcessBatch", { ...batch("slow", 1, { size: 1 }, { size: 2 }), deadlineNanos: 30e6 });
  await assert.rejects(sent, { code: grpc.status.DEADLINE_EXCEEDED, details: /longer than its deadline/ });
  assert.equal((await plugin(life, "Drain", { instance: "slow", deadlineNanos: 10e6 })).unfinished, 2); // the stage is still at it
});

test("it refuses messages over 4 MiB", async (t) => {
  const life = await start(t);
  await assert.rejects(plugin(life, "Validate", { stage: "plain", options: Buffer.alloc(maxMessage + 1) }), { code: grpc.status.RESOURCE_EXHAUSTED });
  await plugin(life, "Hello", {});
});

test("it refuses a client with another certificate, and one without", async (t) => {
  const life = await start(t);
  const stranger = connect(t, life, await makeCertificate());
  await assert.rejects(call(stranger, pluginService["Hello"], {}, 1000));
  const nobody = new grpc.Client(`unix:${life.socket}`, grpc.credentials.createSsl(Buffer.from(life.server)), { "grpc.ssl_target_name_override": "localhost" });
  t.after(() => nobody.close());
  await assert.rejects(call(nobody, pluginService["Hello"], {}, 1000));
  await plugin(life, "Hello", {});
});

test("it answers go-plugin's services, finishes the calls in hand and exits", async (t) => {
  const life = await start(t);
  assert.equal((await call(life.client, healthService["Check"], { service: "plugin" })).status, 1);
  const stdio = stdioService["StreamStdio"]!;
  const output = life.client.makeServerStreamRequest(stdio.path, stdio.requestSerialize, stdio.responseDeserialize, {});
  output.on("data", () => assert.fail("something on the stdio stream"));
  const start_ = brokerService["StartStream"]!;
  const side = life.client.makeBidiStreamRequest(start_.path, start_.requestSerialize, start_.responseDeserialize);
  side.resume();
  const ends = Promise.all([once(output, "end"), once(side, "end")]);
  await configure(life, "slow", "waiting");
  await configure(life, "free", "waiting", "releaser");
  const inHand = plugin(life, "ProcessBatch", batch("slow", 1, { size: 1 }));
  await plugin(life, "Hello", {});
  await call(life.client, controllerService["Shutdown"], {});
  await ends;
  await plugin(life, "ProcessBatch", batch("free", 1, { size: 1 }));
  assert.equal((await inHand).count, 1);
  assert.equal(await exit(life), 0);
  assert.equal(existsSync(life.socket), false);
});

test("it exits although a call never ends", async (t) => {
  const life = await start(t);
  await configure(life, "slow", "waiting");
  plugin(life, "ProcessBatch", batch("slow", 1, { size: 1 })).catch(() => {});
  await plugin(life, "Hello", {});
  await call(life.client, controllerService["Shutdown"], {});
  assert.equal(await exit(life), 0);
});

test("it ends with the lifeline, also in a stage that never returns", async (t) => {
  const life = await start(t);
  await configure(life, "stuck", "spinning");
  plugin(life, "ProcessBatch", batch("stuck", 1, { size: 1 })).catch(() => {});
  await assert.rejects(plugin(life, "Hello", {}, 300), { code: grpc.status.DEADLINE_EXCEEDED });
  life.lifeline.destroy();
  assert.equal(await exit(life), "SIGKILL");
  assert.equal(existsSync(life.socket), false);
});

test("it does without certificates when the broker does", async (t) => {
  const life = await start(t, { PLUGIN_CLIENT_CERT: "" });
  assert.equal(life.server, "");
  const client = new grpc.Client(`unix:${life.socket}`, grpc.credentials.createInsecure());
  t.after(() => client.close());
  assert.equal((await call(client, pluginService["Hello"], {})).name, "test-program");
});

test("it does not start by hand", () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(__dirname, "program.js")], { env: {}, encoding: "utf8" });
  assert.deepEqual({ status, stdout }, { status: 2, stdout: "" });
  assert.match(stderr, /is a plugin: the broker starts it/);
});

test("it prints its stages", () => {
  const described = spawnSync(process.execPath, [join(__dirname, "program.js"), "--describe"], { env: {}, encoding: "utf8" });
  assert.deepEqual(JSON.parse(described.stdout).stages[1], {
    name: "waiting", summary: "waits until a batch of another instance comes", judges: true, observes: false, idempotent: false,
  });
});

test("it says why a stage does not open", async (t) => {
  const life = await start(t);
  assert.deepEqual(plain(await configure(life, "i", "broken")), { diagnostics: [{ path: "", message: "start: no database" }] });
  await assert.rejects(plugin(life, "ProcessBatch", batch("i", 1, {})), { code: grpc.status.NOT_FOUND });
  await assert.rejects(configure(life, "", "waiting"), { code: grpc.status.INVALID_ARGUMENT });
});

test("it finishes and exits on SIGTERM", async (t) => {
  const life = await start(t);
  await configure(life, "i", "waiting");
  life.process.kill("SIGTERM");
  assert.equal(await exit(life), 0);
  await printed(life, /closed i/);
});

test("it carries the broker's own plugin.proto", () => {
  const read = (path: string) => readFileSync(join(__dirname, "..", path), "utf8");
  assert.equal(read("proto/plugin.proto"), read("../plugin/pluginpb/plugin.proto"));
});
