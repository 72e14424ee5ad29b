// The Worker's entry point: reads what the service needs from a request, makes one call into Wasm, and writes the answer.
//
// The service itself is Rust (edge-worker/src). What stands here is what Rust cannot do: turn JavaScript objects into text and bytes
// cheaply, and go on after a trap. A trap ends a Wasm instance for good, so it is caught, the request is answered with the defaults,
// and the instance is replaced by a fresh one, which loads its config again.

import bundled from "./bundled.bin";
import wasm from "./edge_worker_bg.wasm";
import { __wbg_reset_state, answer, background, consume, forward, freshen, initSync, start } from "./edge_worker.js";
import { loadOrFallBack, keepCopies } from "./copies.js";
import { passOn, route } from "./routing.js";
import { stream } from "./stream.js";

initSync({ module: wasm });

const ANSWER = 0;
const LOAD = 1;
const FRESHEN = 3;
const STREAM = 4;

// Largest body that is read, in bytes: a batch of events. The service has a lower limit for everything else.
const MAX_BODY_BYTES = 5 * 1024 * 1024;
// Bytes of a body that is too large that are still read before it is refused.
const MAX_DRAINED_BYTES = 64 * 1024 * 1024;
// Times that one request may have to wait; `MAX_WAITS` in edge-worker/src/request.rs.
const MAX_WAITS = 4;
// What may still be done for a request before it is answered; `Patience` in the same file.
const NO_PATIENCE = 0;
const LOADS = 1;
const FULL = 2;
// Milliseconds that an answer waits for news that the client has heard of; `FRESHEN_MS` in edge-worker/src/freshness.rs.
const FRESHEN_MS = 250;

const NO_BODY = new Uint8Array(0);
const text = new TextDecoder();

let isStarted = false;

export default {
  async fetch(request, env, ctx) {
    if (env.SORTITION_HOSTS) {
      try {
        ensureStarted(env);
        const routed = await route(request, env, ctx, shell);
        if (routed) return routed;
      } catch (error) {
        replaceInstance(error);
        return (await passOn(request, env)) ?? failOpen(request);
      }
    }
    const head = readHead(request);
    const body = await readBody(request);
    try {
      let patience = FULL;
      for (let n_waits = 0; n_waits <= MAX_WAITS; n_waits++) {
        if (n_waits === MAX_WAITS) patience = NO_PATIENCE;
        ensureStarted(env); // each time: another request may have replaced the instance meanwhile
        const frame = answer(head, body ?? NO_BODY, body === null, patience, Date.now());
        switch (frame[0]) {
          case ANSWER:
            return respond(frame, request, env, ctx);
          case LOAD:
            await shell.load(env, text.decode(frame.subarray(8)));
            break;
          case FRESHEN:
            await freshenBriefly(env, ctx, text.decode(frame.subarray(8)));
            patience = LOADS;
            break;
          case STREAM:
            return stream(request, head, env, shell);
          default:
            return respond(await forward(env, head, body), request, env, ctx);
        }
      }
      throw new Error("a request that nothing is loaded for any more is not answered");
    } catch (error) {
      replaceInstance(error);
      return failOpen(request);
    }
  },

  // What the queue kept while the collector could not be reached.
  async queue(batch, env) {
    try {
      ensureStarted(env);
      const { messages } = batch;
      const bodies = messages.map(({ body }) => body);
      const delays = await consume(bodies, Uint32Array.from(messages, ({ attempts }) => attempts));
      messages.forEach((message, at) => (delays[at] === -1 ? message.ack() : message.retry({ delaySeconds: delays[at] ?? 10 })));
    } catch (error) {
      replaceInstance(error);
      batch.retryAll({ delaySeconds: 10 });
    }
  },
};

// What routing shares with the other requests.
const shell = {
  epoch: 0, // number of the instance
  load: (env, environment) => loadOrFallBack(env, environment, bundled),
  respond,
  replaceInstance,
  runBackground: (env, ctx) => ctx.waitUntil(background(env).then(keepCopies).catch(replaceInstance)),
};

// What takes longer than the answer waits for is of use to the next ones.
function freshenBriefly(env, ctx, wanted) {
  const freshening = freshen(env, wanted).then(keepCopies).catch(replaceInstance);
  ctx.waitUntil(freshening);
  return Promise.race([freshening, new Promise((resolve) => setTimeout(resolve, FRESHEN_MS))]);
}

function ensureStarted(env) {
  if (isStarted) return;
  // Isolates start as copies of each other: what must differ between them comes from here.
  start(env, crypto.getRandomValues(new Uint8Array(32)), shell.epoch);
  isStarted = true;
}

// Method, path, query and headers, one a line: a single string crosses into Wasm. The order is that of `Headers::NAMES` in request.rs.
function readHead(request) {
  const { method, url, headers } = request;
  const pathStart = url.indexOf("/", url.indexOf("//") + 2);
  const queryStart = url.indexOf("?", pathStart);
  const path = queryStart < 0 ? url.slice(pathStart) : url.slice(pathStart, queryStart);
  const query = queryStart < 0 ? "" : url.slice(queryStart + 1);
  return `${method}\n${path}\n${query}\n${headers.get("authorization") ?? ""}\n${headers.get("x-sdk-key") ?? ""}\n${
    headers.get("x-api-key") ?? ""
  }\n${headers.get("if-none-match") ?? ""}\n${headers.get("origin") ?? ""}\n${headers.get("content-type") ?? ""}\n${
    headers.get("content-encoding") ?? ""
  }\n${headers.get("cookie") ?? ""}`;
}

// The body, or null when it is too large. It is counted while it arrives, unless a length within the limit was announced.
async function readBody(request) {
  if (request.body === null) return NO_BODY;
  const length = request.headers.get("content-length");
  if (length !== null && Number(length) <= MAX_BODY_BYTES) return new Uint8Array(await request.arrayBuffer());
  const chunks = [];
  let size = 0;
  for await (const chunk of request.body) {
    size += chunk.length;
    if (size <= MAX_BODY_BYTES) chunks.push(chunk);
    // What comes after the limit is read and dropped, because a client that still sends does not see the answer.
    else if (size > MAX_DRAINED_BYTES) break;
  }
  if (size > MAX_BODY_BYTES) return null;
  const body = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.length;
  }
  return body;
}

// Header texts repeat, so each is taken apart once. Values that differ per request (tags, origins) keep the map small by clearing it.
const parsedHeaders = new Map();

function parseHeaders(bytes) {
  const lines = text.decode(bytes);
  let headers = parsedHeaders.get(lines);
  if (headers === undefined) {
    headers = lines
      .split("\n")
      .slice(0, -1)
      .map((line) => {
        const colon = line.indexOf(": ");
        return [line.slice(0, colon), line.slice(colon + 2)];
      });
    if (lines.includes("\nset-cookie: ")) return headers; // one visitor's own
    if (parsedHeaders.size >= 256) parsedHeaders.clear();
    parsedHeaders.set(lines, headers);
  }
  return headers;
}

// The layout of a frame is described in edge-worker/src/frame.rs.
function respond(frame, request, env, ctx) {
  if (frame[1] === 1) shell.runBackground(env, ctx);
  const status = frame[2] | (frame[3] << 8);
  const bodyStart = 8 + (frame[4] | (frame[5] << 8) | (frame[6] << 16) | (frame[7] << 24));
  const isEmpty = bodyStart === frame.length || request.method === "HEAD";
  return new Response(isEmpty ? null : frame.subarray(bodyStart), {
    status,
    headers: parseHeaders(frame.subarray(8, bodyStart)),
  });
}

function replaceInstance(error) {
  console.error("worker instance replaced:", error?.stack ?? error);
  isStarted = false;
  shell.epoch += 1;
  __wbg_reset_state();
}

// What a client makes its defaults of, without Wasm.
function failOpen(request) {
  const { pathname } = new URL(request.url);
  const reply = (status, body, type = "application/json") => {
    const origin = request.headers.get("origin");
    const headers = { "content-type": type, "x-sortition-config": "none" };
    if (status === 503) headers["retry-after"] = "5";
    if (origin !== null) Object.assign(headers, { "access-control-allow-origin": origin, vary: "Origin" });
    return new Response(JSON.stringify(body), { status, headers });
  };
  const flags = "/ofrep/v1/evaluate/flags";
  if (pathname === "/v1/evaluate") return reply(200, { generation: null, decisions: {} });
  if (pathname === flags) return reply(200, { flags: [], metadata: { reason: "internal_error" } });
  if (pathname.startsWith(`${flags}/`)) {
    const key = decoded(pathname.slice(flags.length + 1));
    return reply(200, { key, reason: "UNKNOWN", variant: "", metadata: { reason: "internal_error", enrolled: false } });
  }
  const detail = "the edge could not answer this request; send it again";
  const problem = { type: "about:blank", title: "Service Unavailable", status: 503, code: "internal_error", detail };
  return reply(503, problem, "application/problem+json");
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
