// What the tests of routing share: origins that say what they were asked, routes in front of them, both edges, and a client that sees
// answers as they come over the wire.

import { createHmac } from "node:crypto";
import { createServer, request as httpRequest } from "node:http";
import { publish, scratch, serveStore, startNative, startWorker } from "./harness.mjs";

// An origin. `pages` may answer a path by itself; every other path tells what was asked.
export async function startOrigin(t, name, pages = {}) {
  const requests = [];
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, "http://origin");
    requests.push({ method: request.method, url: request.url, headers: request.headers });
    const page = pages[url.pathname];
    if (page) return page(request, response, url);
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    // Cloudflare asks for compression whatever the client asked for, so only a refusal of it is told.
    const isTold = ([name, value]) =>
      /^(x-|via$|if-|cookie$|range$)/.test(name) ? name !== "x-forwarded-for" : name === "accept-encoding" && value === "identity";
    const told = Object.fromEntries(Object.entries(request.headers).filter(isTold).sort());
    const text = JSON.stringify({ origin: name, method: request.method, url: request.url, n_bytes: body.length, headers: told });
    response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(text) }).end(text);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${server.address().port}`, requests, name };
}

export const html = (text, headers = {}) => (_, response) =>
  response.writeHead(200, { "content-type": "text/html; charset=utf-8", "content-length": Buffer.byteLength(text), ...headers }).end(text);

// Publishes routes and starts the Worker and the native edge in front of them, for every host. `settings` are for both.
export async function startEdges(t, routes, { origin, ...settings } = {}) {
  const store = scratch(t);
  const { environment, client_key, list_secret } = publish(store, 1, routes);
  const shared = {
    SORTITION_HOSTS: `*=${environment}${origin ? `@${origin}` : ""}`,
    SORTITION_ROUTING_KEYS: client_key,
    SORTITION_ORIGIN_TIMEOUT_MS: "1000",
    ...settings,
  };
  const storeUrl = await serveStore(t, store);
  const worker = await startWorker(t, { SORTITION_CONFIG_URL: storeUrl, SORTITION_LIST_SECRET: list_secret, ...shared });
  const native = await startNative(t, store, shared);
  return { edges: [{ name: "Worker", url: worker.url }, { name: "native", url: native }], environment, list_secret, store };
}

// One request, as it goes over the wire: no redirect is followed, nothing is decoded.
export function ask(base, path, { method = "GET", headers = {}, body } = {}) {
  const { hostname, port } = new URL(base);
  return new Promise((resolve, reject) => {
    const request = httpRequest({ hostname, port, path, method, headers, agent: false }, async (response) => {
      const chunks = [];
      try {
        for await (const chunk of response) chunks.push(chunk);
      } catch (error) {
        return reject(error);
      }
      const bytes = Buffer.concat(chunks);
      resolve({ status: response.statusCode, headers: response.headers, bytes, text: bytes.toString() });
    });
    request.on("error", reject);
    if (body?.pipe) body.pipe(request);
    else request.end(body);
  });
}

// The cookie that an answer sets, as it is sent back.
export const cookieOf = ({ headers }, name = "sortition_id") =>
  headers["set-cookie"]?.find((cookie) => cookie.startsWith(`${name}=`))?.split(";")[0];

// The decisions in a page.
export function decisionsOf({ text }) {
  const found = /<script[^>]*>window\.__SORTITION__=(.*?)<\/script>/.exec(text);
  return found && JSON.parse(found[1]);
}

// A cookie of a visitor for each variant of the experiment that a page injects.
export async function visitors(base, path, key = "visitors") {
  const found = {};
  while (!found.control || !found.treatment) {
    const answer = await ask(base, path, { headers: { accept: "text/html" } });
    found[decisionsOf(answer).decisions[key].variant] ??= cookieOf(answer);
  }
  return found;
}

// A QA token, made as its description in edge-worker/src/routing/qa.rs says.
export function qaToken(listSecret, environment, expiresS, variants) {
  const key = createHmac("sha256", Buffer.from(listSecret, "hex")).update(`qa:${environment}`).digest();
  const payload = ["1", expiresS, ...Object.entries(variants).map(([name, variant]) => `${name}=${variant}`)].join(";");
  const tag = createHmac("sha256", key).update(payload).digest().subarray(0, 16);
  return Buffer.concat([Buffer.from(payload), tag]).toString("base64url");
}
