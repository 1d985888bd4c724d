// From the start of the process to its end.
import { writeStdout } from "./stdout"; // first: nothing may print before it
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addGoPlugin } from "./goplugin";
import { holdLifeline } from "./lifeline";
import { maxMessage } from "./protocol";
import { offered, sdk, Service } from "./service";
import type { Program } from "./stage";

// What both sides of the launch have to agree on; sdk/plugin/pluginpb/handshake.go
// has the same.
const cookieKey = "CLAUDEMESH_PLUGIN";
const cookieValue = "45ea274a8edd579542c3c2b479b1dc42202bdaa7c1578cb6f14beb63743f0beb";
const major = 1;
const lifelineEnv = "CLAUDEMESH_LIFELINE_FD";

// go-plugin's own: the version of the handshake line, and how long the host
// waits for the exit before it kills, less a margin.
const coreProtocol = 1;
const exitWithin = 1500;

const longestSocketPath = 107; // bytes, sun_path without its final 0

const exitByHand = 2; // somebody started it who is no broker

/**
 * Serves a program to the broker that started this process, until the broker
 * ends it.
 *
 * SIGTERM finishes what is in hand and ends; SIGINT is ignored. When the broker
 * dies, the program ends at once. Started by hand, it says what it is and exits
 * with code 2; with --describe it prints its stages as JSON.
 */
export function serve(program: Program): void {
  if (process.argv.length === 3 && process.argv[2] === "--describe") {
    writeStdout(JSON.stringify(description(program), undefined, 2));
    process.exit(0);
  }
  if (process.env[cookieKey] !== cookieValue) {
    console.error(`${program.name} ${program.version} is a plugin: the broker starts it when its config names it.\n` +
      "With --describe it prints its stages as JSON.");
    process.exit(exitByHand);
  }
  start(program).catch((err: unknown) => {
    console.error(`${program.name} cannot start:`, err);
    process.exit(1);
  });
}

async function start(program: Program): Promise<void> {
  const { credentials, certificate } = await security(process.env["PLUGIN_CLIENT_CERT"]);
  const server = new Server({
    "grpc.max_receive_message_length": maxMessage,
    "grpc.max_send_message_length": maxMessage,
  });
  const service = new Service(program);
  server.addService(offered, service.implementation());
  addGoPlugin(server, () => void end(server, service));

  const socket = join(process.env["PLUGIN_UNIX_SOCKET_DIR"] || tmpdir(), `plugin${randomBytes(8).toString("hex")}`);
  if (Buffer.byteLength(socket) > longestSocketPath) {
    throw new Error(`the path of the socket, ${socket}, is longer than ${longestSocketPath} bytes`);
  }
  process.on("exit", () => rmSync(socket, { force: true }));
  process.on("SIGINT", () => {}); // a terminal sends it to the broker too, which decides
  process.on("SIGTERM", () => void end(server, service));
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${socket}`, credentials, (err) => (err ? reject(err) : resolve()));
  });

  const lifeline = process.env[lifelineEnv];
  if (lifeline) holdLifeline(Number(lifeline), socket);
  writeStdout([coreProtocol, major, "unix", socket, "grpc", certificate].join("|"));
}

// security makes the server's credentials, and the certificate as the handshake
// line has it. A broker that sends no certificate has been told to do without;
// the socket's directory is then what keeps others out.
async function security(client: string | undefined): Promise<{ credentials: ServerCredentials; certificate: string }> {
  if (!client) {
    return { credentials: ServerCredentials.createInsecure(), certificate: "" };
  }
  const { makeCertificate } = await import("./certificate"); // takes a while to load
  const own = await makeCertificate();
  const credentials = ServerCredentials.createSsl(
    Buffer.from(client),
    [{ cert_chain: Buffer.from(own.certificate), private_key: Buffer.from(own.key) }],
    true, // require the client's certificate and verify it against the first argument, alone
  );
  return { credentials, certificate: Buffer.from(own.der).toString("base64").replace(/=+$/, "") };
}

// end answers what is in hand and exits.
async function end(server: Server, service: Service): Promise<void> {
  setTimeout(() => process.exit(0), exitWithin);
  await service.finish();
  server.tryShutdown(() => process.exit(0));
}

// description has the names that a Go plugin's --describe has.
function description(program: Program): object {
  return {
    name: program.name,
    version: program.version,
    sdk,
    stages: program.stages.map((s) => ({
      name: s.name,
      summary: s.summary,
      judges: true,
      observes: false,
      idempotent: s.idempotent ?? false,
      capabilities: s.capabilities,
      options_schema: s.optionsSchema,
      options_example: s.optionsExample,
    })),
  };
}
