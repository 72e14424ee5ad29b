// The web provider, unmodified, in headless Chromium, on a page of another origin than the edge.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, normalize } from "node:path";
import { test } from "node:test";
import { eventually, publish, ROOT, serve, startEdge } from "./edge.mjs";

const { chromium } = createRequire(join(ROOT, "dashboard/package.json"))("playwright-core");
const FOLDER = join(ROOT, "tests/ofrep");
const NESTED = "/node_modules/@openfeature/ofrep-web-provider/node_modules/@openfeature/ofrep-core/index.esm.js";
const IMPORTS = {
  "@openfeature/core": "/node_modules/@openfeature/core/dist/esm/index.js",
  "@openfeature/web-sdk": "/node_modules/@openfeature/web-sdk/dist/esm/index.js",
  "@openfeature/ofrep-core": NESTED,
  "@openfeature/ofrep-web-provider": "/node_modules/@openfeature/ofrep-web-provider/index.esm.js",
};
const PAGE = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">
<script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>`;

async function openPage(t) {
  const site = await serve(t, async (request) => {
    const path = normalize(new URL(request.url, "http://site").pathname);
    if (path === "/") return [200, PAGE, { "content-type": "text/html" }];
    return readFile(join(FOLDER, path)).then(
      (text) => [200, text, { "content-type": "text/javascript" }],
      () => [404],
    );
  });
  const profile = await mkdtemp(join(tmpdir(), "sortition-chromium-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
  });
  t.after(async () => {
    await context.close();
    await rm(profile, { recursive: true, force: true });
  });
  const page = context.pages()[0] ?? (await context.newPage());
  await page.goto(`${site}/`);
  return page;
}

// A provider on the page, with a list of the events that it fires.
const connect = (page, baseUrl, key, context) =>
  page.evaluate(
    async ({ baseUrl, key, context }) => {
      const { OpenFeature, ProviderEvents } = await import("@openfeature/web-sdk");
      const { OFREPWebProvider } = await import("@openfeature/ofrep-web-provider");
      globalThis.fired = [];
      for (const event of Object.values(ProviderEvents)) OpenFeature.addHandler(event, () => globalThis.fired.push(event));
      await OpenFeature.setContext(context);
      const provider = new OFREPWebProvider({ baseUrl, headers: [["Authorization", `Bearer ${key}`]] });
      await OpenFeature.setProviderAndWait(provider).catch((error) => globalThis.fired.push(`failed: ${error.code}`));
      globalThis.client = OpenFeature.getClient();
      globalThis.close = () => OpenFeature.close();
      globalThis.setContext = (context) => OpenFeature.setContext(context);
      return globalThis.client.providerStatus;
    },
    { baseUrl, key, context },
  );

test("the web provider evaluates, caches by its tag, and follows the stream", async (t) => {
  const { client_key, proxy, store } = await startEdge(t);
  const page = await openPage(t);
  const context = { targetingKey: "u-override", anonymous_id: "a-1", country: "US" };
  assert.equal(await connect(page, proxy.url, client_key, context), "READY");
  const read = () =>
    page.evaluate(() => {
      const { client } = globalThis;
      const brief = ({ value, variant, reason, errorCode, flagMetadata }) => ({ value, variant, reason, errorCode, metadata: flagMetadata });
      return {
        ratio: brief(client.getNumberDetails("ratio", 7)),
        checkout: brief(client.getObjectDetails("checkout", {})),
        visitors: brief(client.getStringDetails("visitors", "mine")),
        nothing: brief(client.getStringDetails("nothing", "mine")),
        killed: brief(client.getBooleanDetails("killed", true)),
        missing: brief(client.getBooleanDetails("missing", true)),
        mismatch: brief(client.getBooleanDetails("ratio", true)),
      };
    });
  const first = await read();
  assert.deepEqual([first.ratio.value, first.ratio.variant, first.ratio.reason], [1, "whole", "STATIC"]);
  assert.deepEqual(first.checkout.value, { checkout_version: "v3", published: 1 });
  assert.deepEqual([first.visitors.reason, typeof first.visitors.metadata.exposure_token], ["SPLIT", "string"]);
  assert.deepEqual([first.nothing.value, first.nothing.errorCode], ["mine", undefined]);
  assert.deepEqual([first.killed.value, first.killed.reason], [false, "DISABLED"]);
  assert.deepEqual([first.missing.value, first.missing.errorCode], [true, "FLAG_NOT_FOUND"]);
  assert.deepEqual([first.mismatch.value, first.mismatch.errorCode], [true, "TYPE_MISMATCH"]);
  assert.equal(proxy.seen.length, 1);

  // What no condition looks at changes no answer: the tag that the page could read is confirmed.
  await page.evaluate((context) => globalThis.setContext(context), { ...context, page: "/next" });
  const confirmed = await eventually("it looks again behind its cache", () => proxy.seen[1]);
  assert.deepEqual([confirmed.status, confirmed.requestHeaders["if-none-match"]], [304, proxy.seen[0].headers.etag]);

  // A new generation comes by the stream, within the life of the page.
  await eventually("the stream stands", () => proxy.events.some((event) => event.startsWith("id: ")));
  publish(store, 2);
  await eventually("generation 2 is read", async () => (await read()).checkout.value.published === 2);
  const told = proxy.seen.find(({ query }) => query.includes("flagConfigEtag"));
  assert.match(new URLSearchParams(told.query).get("flagConfigEtag"), /^2\.[0-9a-f]+$/);
  assert.match(new URLSearchParams(told.query).get("flagConfigLastModified"), /^\d+$/);
  assert.equal(told.status, 200);
  const fired = await page.evaluate(() => globalThis.fired);
  assert.ok(fired.includes("PROVIDER_CONFIGURATION_CHANGED"), fired.join());
  assert.equal(await page.evaluate(() => globalThis.client.providerStatus), "READY");

  // Another user is another answer.
  await page.evaluate(() => globalThis.setContext({ targetingKey: "u-2" }));
  assert.notDeepEqual((await read()).checkout.variant, "treatment_b");
  await page.evaluate(() => globalThis.close());
  proxy.assertConformant(200, 304);
});

test("the web provider goes on by itself when its stream breaks off", async (t) => {
  const { client_key, proxy, store } = await startEdge(t, "native");
  const page = await openPage(t);
  assert.equal(await connect(page, proxy.url, client_key, { targetingKey: "u-override" }), "READY");
  await eventually("the stream stands", () => proxy.events.some((event) => event.startsWith("id: ")));
  proxy.breakStreams();
  publish(store, 2);
  const generation = () => page.evaluate(() => globalThis.client.getObjectValue("checkout", {}).published);
  await eventually("it connects again, and has missed nothing", async () => (await generation()) === 2);
  await page.evaluate(() => globalThis.close());
  proxy.assertConformant(200);
});

test("a key that is not known is the end of the web provider, without a trace of the key in the answer", async (t) => {
  const { client_key, proxy } = await startEdge(t);
  const page = await openPage(t);
  const wrong = client_key.replace("bbbb", "cccc");
  assert.equal(await connect(page, proxy.url, wrong, { targetingKey: "u-1" }), "FATAL");
  assert.ok(!proxy.seen[0].body.includes(wrong));
  proxy.assertConformant(401);
});
