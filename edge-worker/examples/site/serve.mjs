// A small site behind the edge: two static origins, routes, and the edge in front of them.
//
//   scripts/demo-site            the native edge
//   scripts/demo-site --worker   the Worker, in workerd
//
// Prints where to look, and links that show each variant. Stops on Ctrl-C.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { publish, scratch, serveStore, startNative, startWorker } from "../../../tests/edge/harness.mjs";
import { qaToken } from "../../../tests/edge/site.mjs";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const TYPES = { html: "text/html; charset=utf-8", css: "text/css" };

// Serves the files of a folder.
async function startStatic(t, folder) {
  const server = createServer(async (request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, "http://origin").pathname));
    const file = join(HERE, folder, /\.\w+$/.test(path) ? path : `${path}/index.html`);
    try {
      const body = await readFile(file);
      const headers = { "content-type": TYPES[file.split(".").at(-1)], "cache-control": "public, max-age=60" };
      response.writeHead(200, headers).end(body);
    } catch {
      response.writeHead(404, { "content-type": "text/plain" }).end("not found");
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

// Starts the site and the edge in front of it; answers the edge's URL and a QA token for each variant.
export async function startDemo(t, kind) {
  const [current, next] = [await startStatic(t, "current"), await startStatic(t, "next")];
  const routes = await readFile(join(HERE, "routes.json"), "utf8");
  const store = scratch(t);
  const { environment, list_secret } = publish(store, 1, JSON.parse(routes.replaceAll("{current}", current).replaceAll("{next}", next)));
  const settings = { SORTITION_HOSTS: `*=${environment}@${current}` };
  const worker = async () => {
    const secrets = { SORTITION_CONFIG_URL: await serveStore(t, store), SORTITION_LIST_SECRET: list_secret };
    return (await startWorker(t, { ...settings, ...secrets })).url;
  };
  const url = kind === "worker" ? await worker() : await startNative(t, store, settings);
  const expires = Math.floor(Date.now() / 1000) + 86_400;
  const tokens = Object.fromEntries(
    ["control", "treatment"].map((variant) => [variant, qaToken(list_secret, environment, expires, { visitors: variant })]),
  );
  return { url, tokens };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const ends = [];
  const demo = await startDemo({ after: (end) => ends.push(end) }, process.argv.includes("--worker") ? "worker" : "native");
  console.log(`the site behind the edge: ${demo.url}/`);
  for (const [variant, token] of Object.entries(demo.tokens)) console.log(`as ${variant}: ${demo.url}/?sortition_qa=${token}`);
  console.log(`as a visitor again: ${demo.url}/?sortition_qa=off`);
  process.once("SIGINT", async () => {
    for (const end of ends.reverse()) await end();
    process.exit(0);
  });
}
