// Routing: the edge in front of a site. What happens to a request is decided in Rust (edge-worker/src/routing); here requests are sent
// and bodies streamed, which pass through Wasm only at the beginning of a page that a script is written into.

import { Route, is_routed } from "./edge_worker.js";

// Kinds of steps, as edge-worker/src/cloudflare/routing.rs describes them.
const LOAD = 1;
const GO = 5;
const NEXT = 6;
const SEND = 7;

const HAS_SCRIPT = 1;
const IS_EMPTY = 2;
const IS_STORABLE = 4;

// Largest body that is kept in the cache, in bytes; `MAX_STORED_BYTES` in edge-worker/src/routing/cache.rs.
const MAX_STORED_BYTES = 2 * 1024 * 1024;
// How many times longer an origin may take where the client still sends.
const UPLOAD_FACTOR = 30;

const text = new TextDecoder();

// Scheme, host and path of a URL, without the cost of a URL object.
function takeApart(url) {
  const hostStart = url.indexOf("//") + 2;
  const pathStart = url.indexOf("/", hostStart);
  const queryStart = url.indexOf("?", pathStart);
  return {
    scheme: url.slice(0, hostStart - 3),
    host: url.slice(hostStart, pathStart),
    path: queryStart < 0 ? url.slice(pathStart) : url.slice(pathStart, queryStart),
    query: queryStart < 0 ? "" : url.slice(queryStart + 1),
  };
}

function linesOf(headers) {
  let lines = "";
  for (const [name, value] of headers) lines += `${name}: ${value}\n`;
  return lines;
}

// The answer to a request for a site behind this edge; undefined for one that is the edge's own. `shell` holds what this and the other
// requests share: `load`, `respond`, `runBackground` and `epoch`, the number of the Wasm instance.
export async function route(request, env, ctx, shell) {
  const { scheme, host, path, query } = takeApart(request.url);
  if (!is_routed(host, path)) return undefined;
  const address = request.headers.get("cf-connecting-ip") ?? "";
  const head = `${request.method}\n${scheme}\n${host}\n${path}\n${query}\n${address}\n${linesOf(request.headers)}`;
  let plan = new Route(head, Date.now());
  let step = plan.step();
  if (step[0] === LOAD) {
    await shell.load(env, text.decode(step.subarray(8)));
    plan = new Route(head, Date.now());
    step = plan.step();
    // It was forgotten as soon as it was loaded, because very many are asked for at once: as if there were no config.
    if (step[0] === LOAD) return passOn(request, env);
  }
  if (step[0] !== GO) return shell.respond(step, request, env, ctx);
  for (let n = 0; ; n++) {
    const attempt = readAttempt(plan.attempt(n));
    const { response, isCached, hasTimedOut } = await ask(request, attempt, n);
    step = response
      ? plan.answered(n, response.status, linesOf(response.headers), isCached, Date.now())
      : plan.failed(n, hasTimedOut, Date.now());
    if (step[0] === SEND) return send(response, step, attempt, plan, env, ctx, shell);
    response?.body?.cancel().catch(() => {});
    if (step[0] !== NEXT) return shell.respond(step, request, env, ctx);
  }
}

function readAttempt(lines) {
  const [url, cacheKey, timeoutMs, ...edits] = lines.split("\n");
  return { url, cacheKey, timeoutMs: Number(timeoutMs), edits };
}

function edited(headers, edits) {
  const result = new Headers(headers);
  for (const edit of edits) {
    const colon = edit.indexOf(": ");
    if (edit[0] === "-") result.delete(edit.slice(1));
    else if (edit[0] === "=") result.set(edit.slice(1, colon), edit.slice(colon + 2));
    else if (edit[0] === "+") result.append(edit.slice(1, colon), edit.slice(colon + 2));
  }
  return result;
}

// Asks the cache, then the origin.
async function ask(request, { url, cacheKey, timeoutMs, edits }, n) {
  if (cacheKey !== "") {
    const found = await caches.default.match(cacheKey).catch(() => undefined);
    if (found) return { response: found, isCached: true };
  }
  const body = n === 0 ? request.body : null;
  const abort = new AbortController();
  let hasTimedOut = false;
  const timer = setTimeout(
    () => {
      hasTimedOut = true;
      abort.abort();
    },
    body === null ? timeoutMs : timeoutMs * UPLOAD_FACTOR,
  );
  try {
    const headers = edited(request.headers, edits);
    const response = await fetch(url, { method: request.method, headers, body, redirect: "manual", signal: abort.signal });
    return { response, isCached: false };
  } catch (error) {
    console.warn(`origin not reached: url=${url} error=${error}`);
    return { response: undefined, hasTimedOut };
  } finally {
    clearTimeout(timer);
  }
}

function send(response, step, { cacheKey }, plan, env, ctx, shell) {
  if (step[1] === 1) shell.runBackground(env, ctx);
  const status = step[2] | (step[3] << 8);
  const headers = edited(response.headers, text.decode(step.subarray(8)).split("\n"));
  if (step[4] & IS_EMPTY || response.body === null) {
    response.body?.cancel().catch(() => {});
    return new Response(null, { status, headers });
  }
  let body = response.body;
  if (step[4] & IS_STORABLE) body = body.pipeThrough(keep(response, cacheKey, ctx));
  if (step[4] & HAS_SCRIPT) body = body.pipeThrough(inject(plan, shell));
  return new Response(body, { status, headers });
}

// Keeps a copy of a body that is not too large, and puts it into the cache when it has come to its end.
function keep({ status, headers }, cacheKey, ctx) {
  let chunks = [];
  let size = 0;
  return new TransformStream({
    transform(chunk, controller) {
      size += chunk.length;
      if (size > MAX_STORED_BYTES) chunks = undefined;
      chunks?.push(chunk.slice());
      controller.enqueue(chunk);
    },
    flush() {
      if (chunks === undefined) return;
      const copy = new Response(new Blob(chunks), { status, headers });
      ctx.waitUntil(caches.default.put(cacheKey, copy).catch((error) => console.warn(`not cached: ${error}`)));
    },
  });
}

// Writes the script into the page. Should the Wasm instance be replaced meanwhile, what it held back is lost with it: the page is broken
// off, so that nobody takes it for whole.
function inject(plan, shell) {
  let injector = plan.injector();
  const { epoch } = shell;
  const check = () => {
    if (shell.epoch !== epoch) throw new Error("the Wasm instance was replaced in the middle of a page");
  };
  const pass = (bytes, controller) => {
    if (bytes.length > 0) controller.enqueue(bytes);
  };
  return new TransformStream({
    transform(chunk, controller) {
      if (injector === undefined) {
        controller.enqueue(chunk);
        return;
      }
      check();
      pass(injector.push(chunk), controller);
      if (injector.done) {
        injector.free();
        injector = undefined;
      }
    },
    flush(controller) {
      if (injector === undefined) return;
      check();
      pass(injector.finish(), controller);
      injector.free();
      injector = undefined;
    },
  });
}

// Without Wasm: the origin that SORTITION_HOSTS names for the host gets the request as it is. Undefined where there is none.
export function passOn(request, env) {
  const { host, path, query } = takeApart(request.url);
  const name = host.replace(/:\d+$/, "").toLowerCase();
  const entries = (env.SORTITION_HOSTS ?? "").split(/[\s,]+/).filter(Boolean);
  const matches = (pattern) => pattern === name || pattern === "*" || (pattern.startsWith("*.") && name.endsWith(pattern.slice(1)));
  const found = entries.map((entry) => entry.split("=", 1).concat(entry.split("@").slice(1).join("@"))).filter(([pattern]) => matches(pattern.toLowerCase()));
  const origin = found.sort(([a], [b]) => a.startsWith("*") - b.startsWith("*") || b.length - a.length)[0]?.[1];
  if (!origin || request.bodyUsed || Number(request.headers.get("x-sortition-hops") ?? 0) >= 3) return undefined;
  const headers = edited(request.headers, [`=x-sortition-hops: 3`]);
  const url = `${origin.replace(/\/$/, "")}${path}${query === "" ? "" : `?${query}`}`;
  return fetch(url, { method: request.method, headers, body: request.body, redirect: "manual" });
}
