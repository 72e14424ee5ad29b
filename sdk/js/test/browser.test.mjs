// The package in Chromium, on a page of another origin than the edge: local decisions, and honest exposures through the unmodified
// OpenFeature provider.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, normalize } from "node:path";
import { test } from "node:test";
import { eventually, exposures, publish, readyz, ROOT, serve, startEdge } from "./support.mjs";

const { chromium } = createRequire(join(ROOT, "dashboard/package.json"))("playwright-core");
const FOLDER = join(ROOT, "sdk/js");

const IMPORTS = {
  "@sortition/client": "/dist/browser.js",
  "@sortition/client/openfeature": "/dist/openfeature.js",
  "@openfeature/core": "/node_modules/@openfeature/core/dist/esm/index.js",
  "@openfeature/web-sdk": "/node_modules/@openfeature/web-sdk/dist/esm/index.js",
  "@openfeature/ofrep-core": "/node_modules/@openfeature/ofrep-core/index.esm.js",
  "@openfeature/ofrep-web-provider": "/node_modules/@openfeature/ofrep-web-provider/index.esm.js",
};
const PAGE = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">
<script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>`;
const TYPES = { js: "text/javascript", wasm: "application/wasm" };

// A page with the package and OpenFeature in reach of `import`.
async function openPage(t) {
  const site = await serve(t, async (request) => {
    const path = normalize(new URL(request.url, "http://site").pathname);
    if (path === "/" || path === "/next") return [200, PAGE, { "content-type": "text/html" }];
    try {
      const type = TYPES[path.split(".").at(-1)] ?? "application/octet-stream";
      return [200, await readFile(join(FOLDER, path)), { "content-type": type }];
    } catch {
      return [404];
    }
  });
  const profile = await mkdtemp(join(tmpdir(), "sortition-chromium-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
    ],
  });
  t.after(async () => {
    await context.close();
    await rm(profile, { recursive: true, force: true });
  });
  const page = context.pages()[0] ?? (await context.newPage());
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  await page.goto(`${site}/`);
  return { page, site, errors };
}

test("a page decides by itself, asks the edge for the rest, and takes a newer config", async (t) => {
  const edge = await startEdge(t);
  const { page, errors } = await openPage(t);
  const options = { edge: edge.url, sdkKey: edge.keys.client_key, refreshIntervalMs: 0 };
  const got = await page.evaluate(async (options) => {
    const { createClient } = await import("@sortition/client");
    window.sortition = await createClient(options);
    const context = {
      units: { anonymous_id: "a-1", user_id: "u-1" },
      attributes: { country: "DE", app_version: "2.3.4", plan: "gold" },
    };
    const keys = ["visitors", "in_browser", "for_gold", "no such"];
    const decisions = await Promise.all(keys.map((key) => window.sortition.evaluate(key, context)));
    for (const decision of decisions) await window.sortition.expose(decision);
    await window.sortition.exposures.flush();
    return decisions.map(({ reason, source, generation }) => [reason, source, generation]);
  }, options);
  assert.deepEqual(got, [
    ["split", "edge", 1],
    ["split", "local", 1],
    ["split", "edge", 1],
    ["not_found", "local", 1],
  ]);
  const reported = await eventually("three exposures", () => exposures(edge).length >= 3 && exposures(edge));
  assert.deepEqual(reported.map(({ experiment }) => experiment).sort(), [
    "for_gold",
    "in_browser",
    "visitors",
  ]);
  publish(edge.store, 2);
  await eventually("generation 2", () =>
    page.evaluate(async () => (await window.sortition.refresh()) && window.sortition.generation === 2),
  );
  assert.deepEqual(errors, []);
});

test("a page hears of a newer config by EventSource, and polls where there is no stream", async (t) => {
  const open = async (settings, refreshIntervalMs) => {
    const edge = await startEdge(t, 1, settings);
    const { page } = await openPage(t);
    await page.evaluate(
      async (options) => {
        const { createClient } = await import("@sortition/client");
        window.errors = [];
        window.generations = [];
        window.sortition = await createClient({
          ...options,
          onError: (error) => window.errors.push(error.message),
          onConfig: (generation) => window.generations.push(generation),
        });
      },
      { edge: edge.url, sdkKey: edge.keys.client_key, refreshIntervalMs },
    );
    return { edge, page };
  };
  const isStreaming = (page) => page.evaluate(() => window.sortition.isStreaming);
  const generations = (page) => page.evaluate(() => window.generations);

  const { edge, page } = await open({ SORTITION_STREAM_REFRESH_INTERVAL_MS: "100" }, 3_600_000);
  await eventually("the stream stands", () => isStreaming(page));
  publish(edge.store, 2);
  await eventually("generation 2", async () => (await generations(page)).includes(2));
  assert.deepEqual(await generations(page), [1, 2]);
  assert.deepEqual(await page.evaluate(() => window.errors), []);
  await page.evaluate(() => window.sortition.close());
  assert.equal(await isStreaming(page), false);
  await eventually("the edge's place is free", async () => (await readyz(edge.url)).streams.open === 0);

  const refused = await open({ SORTITION_MAX_STREAMS: "0" }, 200);
  publish(refused.edge.store, 2);
  await eventually("generation 2, polled", async () => (await generations(refused.page)).includes(2));
  assert.equal(await isStreaming(refused.page), false);
  assert.match((await refused.page.evaluate(() => window.errors)).join(), /stream/);
});

const OPEN_FEATURE = async ({ edge, sdkKey, flushIntervalMs }) => {
  const { OpenFeature } = await import("@openfeature/web-sdk");
  const { OFREPWebProvider } = await import("@openfeature/ofrep-web-provider");
  const { exposureHook } = await import("@sortition/client/openfeature");
  const provider = new OFREPWebProvider({
    baseUrl: edge,
    headers: [["Authorization", `Bearer ${sdkKey}`]],
    pollInterval: -1,
  });
  OpenFeature.addHooks(exposureHook({ edge, sdkKey, flushIntervalMs }));
  await OpenFeature.setContext({ targetingKey: "u-1", anonymous_id: "a-1", plan: "gold" });
  await OpenFeature.setProviderAndWait(provider);
  window.flags = OpenFeature.getClient();
};

test("through the unmodified OFREP provider only flags that are read are exposed, each once", async (t) => {
  const edge = await startEdge(t);
  const { page, errors } = await openPage(t);
  await page.evaluate(OPEN_FEATURE, { edge: edge.url, sdkKey: edge.keys.client_key, flushIntervalMs: 50 });
  assert.deepEqual(exposures(edge), [], "a bulk evaluation alone exposes nothing");
  const details = await page.evaluate(() => {
    for (let i = 0; i < 5; i++) window.flags.getStringValue("visitors", "default");
    window.flags.getStringValue("scheduled", "default");
    return window.flags.getStringDetails("visitors", "default");
  });
  assert.equal(details.reason, "SPLIT");
  const reported = await eventually("the exposure", () => exposures(edge).length > 0 && exposures(edge));
  // A batch that followed would have left by now.
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.deepEqual(exposures(edge), reported);
  assert.deepEqual(
    reported.map(({ experiment, variant }) => [experiment, variant]),
    [["visitors", details.variant]],
  );
  assert.deepEqual(errors, []);
});

test("a page that is left at once still reports what it has read", async (t) => {
  const edge = await startEdge(t);
  const { page, site } = await openPage(t);
  await page.evaluate(OPEN_FEATURE, {
    edge: edge.url,
    sdkKey: edge.keys.client_key,
    flushIntervalMs: 600_000,
  });
  await page.evaluate(() => void window.flags.getStringValue("for_gold", "default"));
  await page.goto(`${site}/next`);
  const reported = await eventually("the exposure", () => exposures(edge).length > 0 && exposures(edge));
  assert.deepEqual(
    reported.map(({ experiment }) => experiment),
    ["for_gold"],
  );
});
