// What the tests of the Worker share: workerd with the built Worker in it, published configs, and servers that stand in for the store
// and the collector. Nothing here needs a network.

import { spawn, execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const BUILD = join(ROOT, "build");
const WRANGLER = readFileSync(join(ROOT, "wrangler.toml"), "utf8");
export const FIXTURE = join(ROOT, "target/debug/examples/edge-fixture");
const { Miniflare, Log, LogLevel } = createRequire(join(ROOT, "edge-worker/package.json"))("miniflare");

// How soon the Worker under test looks for a newer config, in milliseconds.
export const REFRESH_MS = 200;

// A folder that is removed when the test ends.
export function scratch(t) {
  const folder = mkdtempSync(join(tmpdir(), "edge-test-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

// Publishes a generation of the fixture environment into a store folder, perhaps with routes; answers its id, keys and list secret.
export function publish(store, generation, routes = []) {
  const file = join(store, "routes.json");
  writeFileSync(file, JSON.stringify(routes));
  return JSON.parse(execFileSync(FIXTURE, ["publish", store, String(generation), file], { encoding: "utf8" }));
}

// The native edge over a store folder.
export async function startNative(t, store, settings = {}) {
  const child = spawn(FIXTURE, ["serve", store], { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, ...settings } });
  t.after(() => child.kill("SIGKILL"));
  for await (const line of createInterface(child.stdout)) return JSON.parse(line).url;
  throw new Error("the native edge did not start");
}

// workerd with the built Worker. `settings` are its variables; with `bucket: true` an R2 bucket is bound as CONFIGS, with `queue: true` a
// queue as EXPOSURES, which the Worker itself consumes; `patch(path, text)` may change a JavaScript module; `bundled` are the bytes of a bundled config; `onLog` gets what is logged.
export async function startWorker(t, { bucket = false, queue = false, patch = (_, text) => text, bundled = Buffer.alloc(0), onLog, ...settings } = {}) {
  const module = (path, type) => {
    const contents = readFileSync(join(BUILD, path));
    return { type, path: join(BUILD, path), contents: type === "ESModule" ? patch(path, contents.toString()) : contents };
  };
  const scripts = readdirSync(BUILD, { recursive: true }).filter((path) => path.endsWith(".js"));
  const worker = new Miniflare({
    modulesRoot: BUILD,
    modules: [
      module("index.js", "ESModule"),
      ...scripts.filter((path) => path !== "index.js").map((path) => module(path, "ESModule")),
      module("edge_worker_bg.wasm", "CompiledWasm"),
      { type: "Data", path: join(BUILD, "bundled.bin"), contents: bundled },
    ],
    compatibilityDate: /^compatibility_date = "(.*)"$/m.exec(WRANGLER)[1],
    compatibilityFlags: JSON.parse(/^compatibility_flags = (.*)$/m.exec(WRANGLER)[1]),
    bindings: { SORTITION_REFRESH_INTERVAL_MS: String(REFRESH_MS), ...settings },
    r2Buckets: bucket ? ["CONFIGS"] : [],
    queueProducers: queue ? { EXPOSURES: "events" } : {},
    queueConsumers: queue ? { events: { maxBatchSize: 10, maxBatchTimeout: 0.1, maxRetries: 100 } } : {},
    cf: false,
    log: new Log(LogLevel.NONE),
    handleRuntimeStdio(stdout, stderr) {
      for (const stream of [stdout, stderr]) stream.setEncoding("utf8").on("data", (text) => onLog?.(text));
    },
  });
  t.after(() => worker.dispose());
  const url = (await worker.ready).origin;
  return { url, bucket: bucket ? await worker.getR2Bucket("CONFIGS") : undefined };
}

// A server on a free port. `answer(request, body)` gives `[status, body, headers?]` or a promise of it.
export async function serve(t, answer) {
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const [status, body = "", headers = {}] = await answer(request, Buffer.concat(chunks));
    response.writeHead(status, headers).end(body);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

// Serves a store folder as the control plane or a CDN does. `faults.next`, when set, may replace an answer.
export function serveStore(t, folder, faults = {}) {
  return serve(t, (request) => {
    const fault = faults.next?.(request.url);
    if (fault) return fault;
    try {
      return [200, readFileSync(join(folder, request.url))];
    } catch {
      return [404];
    }
  });
}

// A collector that keeps what it is sent. `answers.next`, when set, may replace an answer.
export async function startCollector(t, answers = {}) {
  const batches = [];
  const url = await serve(t, async (request, body) => {
    const replaced = await answers.next?.(request, body);
    if (replaced) return replaced;
    const text = body.toString();
    batches.push({ path: request.url, headers: request.headers, body, at: performance.now() });
    const n = text.split("\n").filter((line) => line !== "").length;
    return [202, JSON.stringify({ accepted: n, duplicate: 0, rejected: 0, errors: [] }), { "content-type": "application/json" }];
  });
  const events = () => batches.flatMap(({ body }) => body.toString().split("\n").filter(Boolean).map((line) => JSON.parse(line)));
  return { url, batches, events };
}

// Waits until `probe` answers something truthy.
export async function eventually(what, probe, timeoutMs = 20_000) {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const found = await probe();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited ${timeoutMs} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export function post(url, key, body, headers = {}) {
  const text = typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body);
  return fetch(url, { method: "POST", body: text, headers: { authorization: `Bearer ${key}`, ...headers } });
}

export const readyz = async (url) => (await fetch(`${url}/readyz`)).json();
