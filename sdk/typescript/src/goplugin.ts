// The services that the broker's launcher, hashicorp/go-plugin, calls itself.
import { type Server, type ServerDuplexStream, type ServerWritableStream, type sendUnaryData, type ServerUnaryCall, status } from "@grpc/grpc-js";
import { brokerService, controllerService, healthService, stdioService } from "./protocol";

const serving = 1;

/**
 * Adds go-plugin's services to a server. onShutdown is called once, after the
 * host asked the process to end and has its answer under way.
 */
export function addGoPlugin(server: Server, onShutdown: () => void): void {
  const open = new Set<{ end(): void }>(); // streams that stay until the end

  server.addService(healthService, {
    Check(call: ServerUnaryCall<{ service: string }, object>, answer: sendUnaryData<object>): void {
      if (call.request.service !== "plugin" && call.request.service !== "") {
        answer({ code: status.NOT_FOUND, details: `no service ${JSON.stringify(call.request.service)} is here` });
        return;
      }
      answer(null, { status: serving });
    },
  });

  let asked = false;
  server.addService(controllerService, {
    Shutdown(_call: ServerUnaryCall<object, object>, answer: sendUnaryData<object>): void {
      answer(null, {});
      for (const stream of open) stream.end();
      if (!asked) setImmediate(onShutdown);
      asked = true;
    },
  });

  // What is printed goes to standard error itself, so the stream stays empty.
  server.addService(stdioService, {
    StreamStdio(stream: ServerWritableStream<object, object>): void {
      open.add(stream);
      stream.on("cancelled", () => open.delete(stream));
    },
  });

  // Nobody opens side channels to this plugin.
  server.addService(brokerService, {
    StartStream(stream: ServerDuplexStream<object, object>): void {
      open.add(stream);
      stream.on("cancelled", () => open.delete(stream));
      stream.on("end", () => {
        open.delete(stream);
        stream.end();
      });
      stream.resume();
    },
  });
}
