// A proxy between a client and the edge that holds every OFREP answer, and every event of a stream, against the protocol's schema.

import assert from "node:assert/strict";
import { createServer, request as connect } from "node:http";
import { faultsOfAnswer, faultsOfEvent } from "./schema.mjs";

export async function startProxy(t, edge) {
  const seen = []; // { path, query, status, headers, requestHeaders, body }
  const events = [];
  const faults = [];
  const streams = new Set();
  const server = createServer((request, response) => {
    const [path, query = ""] = request.url.split("?");
    // Uncompressed, so that it can be read here.
    const requestHeaders = { ...request.headers, "accept-encoding": "identity" };
    const upstream = connect(edge + request.url, { method: request.method, headers: requestHeaders }, (answer) => {
      const { statusCode: status, headers } = answer;
      response.writeHead(status, headers);
      let text = "";
      answer.setEncoding("utf8");
      answer.on("data", (chunk) => {
        response.write(chunk);
        text += chunk;
        if (path !== "/v1/stream") return;
        for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
          const block = text.slice(0, end);
          events.push(block);
          faults.push(...faultsOfEvent(block).map((fault) => `event: ${fault}: ${block}`));
          text = text.slice(end + 2);
        }
      });
      answer.on("end", () => {
        response.end();
        if (request.method !== "POST" || !path.startsWith("/ofrep/")) return;
        seen.push({ path, query, status, headers, requestHeaders: request.headers, body: text });
        const found = faultsOfAnswer({ path, status, headers, body: text });
        faults.push(...found.map((fault) => `${path} ${status}: ${fault}: ${text.slice(0, 300)}`));
      });
      answer.on("error", () => response.destroy());
    });
    upstream.on("error", () => response.destroy());
    if (path === "/v1/stream") streams.add(response);
    response.on("close", () => {
      streams.delete(response);
      upstream.destroy();
    });
    request.pipe(upstream);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    seen,
    events,
    // Breaks the connections off, as a network does.
    breakStreams: () => streams.forEach((stream) => stream.destroy()),
    // Fails unless answers of these statuses were seen, and nothing was wrong with any.
    assertConformant(...statuses) {
      assert.deepEqual(faults, []);
      for (const status of statuses) assert.ok(seen.some((answer) => answer.status === status), `no ${status} was seen`);
    },
  };
}
