/// <reference path="./proto.d.ts" />
// The messages and services of the wire, from the .proto files.
import type { MethodDefinition, ServiceDefinition } from "@grpc/grpc-js";
import protobuf from "protobufjs";
import goPluginProto from "../proto/goplugin.proto";
import healthProto from "../proto/health.proto";
import pluginProto from "../proto/plugin.proto";

// 64-bit numbers become plain numbers. Times lose what is below a microsecond,
// and nothing else on this wire gets near 2^53.
protobuf.util.Long = undefined as unknown as typeof protobuf.util.Long;
protobuf.configure();

const root = new protobuf.Root();
for (const text of [pluginProto, goPluginProto, healthProto]) {
  protobuf.parse(text, root);
}
root.resolveAll();

/** The longest message in bytes that either side sends or accepts. */
export const maxMessage = 4 << 20;

export const pluginService = definition("claudemesh.plugin.v1.Plugin");
export const healthService = definition("grpc.health.v1.Health");
export const controllerService = definition("plugin.GRPCController");
export const stdioService = definition("plugin.GRPCStdio");
export const brokerService = definition("plugin.GRPCBroker");

// definition makes of a service in the .proto files what gRPC wants to have.
// Methods are named as in the file, fields in camelCase.
function definition(name: string): ServiceDefinition {
  const methods: Record<string, MethodDefinition<object, object>> = {};
  for (const m of root.lookupService(name).methodsArray) {
    const [request, response] = [root.lookupType(m.requestType), root.lookupType(m.responseType)];
    methods[m.name] = {
      path: `/${name}/${m.name}`,
      requestStream: m.requestStream === true,
      responseStream: m.responseStream === true,
      requestSerialize: (value) => encode(request, value),
      requestDeserialize: (bytes) => request.decode(bytes),
      responseSerialize: (value) => encode(response, value),
      responseDeserialize: (bytes) => response.decode(bytes),
    };
  }
  return methods;
}

function encode(type: protobuf.Type, value: object): Buffer {
  return Buffer.from(type.encode(value).finish());
}

// The messages of plugin.proto as protobufjs gives them: every field is there.

export interface HelloRequest { minor: number; features: string[]; maxMessageBytes: number; brokerVersion: string }
export interface ValidateRequest { stage: string; options: Uint8Array }
export interface ConfigureRequest { instance: string; stage: string; link: string; options: Uint8Array; granted: string[] }
export interface DrainRequest { instance: string; deadlineNanos: number }
export interface Batch { seq: number; deadlineNanos: number; instance: string; envelopes: WireEnvelope[] }

export interface WireEnvelope {
  kind: string;
  mesh: string;
  conn: number;
  priority: number;
  size: number;
  arrived: number;
  messageId: string;
  target: number;
  targetKey: Uint8Array;
  targetName: string;
  member: Uint8Array;
  session: Uint8Array;
  memberId: string;
  name: string;
  remote: string;
  attributes: { key: string; value: string }[];
  audience: { member: Uint8Array; session: Uint8Array }[];
  payloadHash: Uint8Array;
  payload: Uint8Array;
  credential: Uint8Array;
  trace: string;
}

/** Verdict in an answer. With verdict 0, error says what failed. */
export interface WireVerdict {
  index: number;
  verdict: number;
  reason?: string;
  text?: string;
  retryAfterNanos?: number;
  error?: string;
  attributes?: readonly { key: string; value: string }[];
  leaveOut?: readonly number[];
  setPriority?: number;
  holdUntilNanos?: number;
}
