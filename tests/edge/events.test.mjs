// Exposures leave after the answer; a client's own events are answered as the collector answers.

import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { eventually, post, publish, readyz, scratch, serveStore, startCollector, startWorker } from "./harness.mjs";

async function start(t, answers) {
  const store = scratch(t);
  const fixture = publish(store, 1);
  const collector = await startCollector(t, answers);
  const worker = await startWorker(t, {
    SORTITION_ENVIRONMENT: fixture.environment,
    SORTITION_CONFIG_URL: await serveStore(t, store),
    SORTITION_COLLECTOR_URL: collector.url,
  });
  return { ...fixture, collector, url: worker.url };
}

test("exposures reach the collector after the answer, once each, under the caller's key", async (t) => {
  const { url, client_key, server_key, collector } = await start(t);
  const ask = (n, key, extra) =>
    post(`${url}/v1/evaluate`, key, { units: { anonymous_id: `a-${n}` }, keys: ["visitors"], ...extra });
  for (let round = 0; round < 2; round++) {
    await Promise.all(Array.from({ length: 100 }, (_, n) => ask(n, n % 2 ? client_key : server_key)));
  }
  await ask(500, client_key, { exposure: "none" });
  await post(`${url}/v1/evaluate`, client_key, { units: { anonymous_id: "a-501" } });
  await post(`${url}/ofrep/v1/evaluate/flags`, client_key, { context: { anonymous_id: "a-502" } });
  await post(`${url}/ofrep/v1/evaluate/flags/by_experiment`, client_key, { context: { anonymous_id: "a-503" } });
  await eventually("all exposures are there", () => collector.events().length >= 101);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const events = collector.events();
  assert.equal(events.length, 101);
  assert.equal(new Set(events.map((event) => event.event_id)).size, 101);
  const expected = new Set([...Array.from({ length: 100 }, (_, n) => `a-${n}`), "a-503"]);
  assert.deepEqual(new Set(events.map((event) => event.units.anonymous_id)), expected);
  for (const event of events) {
    assert.match(event.event_id, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const { type, experiment, unit_type, generation } = event;
    assert.deepEqual({ type, experiment, unit_type, generation }, { type: "exposure", experiment: "visitors", unit_type: "anonymous_id", generation: 1 });
    assert.ok(Math.abs(Date.parse(event.timestamp) - Date.now()) < 60_000);
  }
  for (const { path, headers, body } of collector.batches) {
    assert.equal(path, "/v1/events/batch");
    const even = body.toString().match(/"a-(\d+)"/)[1] % 2 === 0;
    assert.equal(headers.authorization, `Bearer ${even ? server_key : client_key}`);
  }
});

test("a collector that hangs delays no answer", async (t) => {
  let release;
  const held = new Promise((resolve) => (release = resolve));
  const { url, client_key, collector } = await start(t, { next: () => held });
  const answer = await post(`${url}/v1/evaluate`, client_key, { units: { anonymous_id: "a-1" }, keys: ["visitors"] });
  assert.equal(answer.status, 200);
  assert.equal((await answer.json()).decisions.visitors.enrolled, true);
  assert.equal(collector.batches.length, 0, "the answer was there before the collector said anything");
  release();
});

test("an exposure that comes while others are being sent needs no later request to be sent", async (t) => {
  let release;
  const held = new Promise((resolve) => (release = resolve));
  let n_asked = 0;
  const { url, client_key, collector } = await start(t, { next: () => (n_asked++ === 0 ? held : undefined) });
  const ask = (id) => post(`${url}/v1/evaluate`, client_key, { units: { anonymous_id: id }, keys: ["visitors"] });
  await ask("a-1");
  await eventually("the first is being sent", () => n_asked === 1);
  await ask("a-2");
  release();
  await eventually("both are there", () => collector.events().length === 2);
});

test("exposures that the collector could not take are sent again", async (t) => {
  let n_failures = 0;
  const { url, client_key, collector } = await start(t, { next: () => (n_failures++ < 4 ? [503, "busy"] : undefined) });
  await post(`${url}/v1/evaluate`, client_key, { units: { anonymous_id: "a-1" }, keys: ["visitors"] });
  await eventually("the exposure is there", async () => {
    await fetch(`${url}/healthz`);
    return collector.events().length === 1;
  });
  assert.equal((await readyz(url)).exposures.dropped, 0);
});

test("a client's events are answered as the collector answers", async (t) => {
  let reply;
  const { url, client_key, collector } = await start(t, { next: () => reply });
  const batch = `{"event_id":"e-1","type":"metric"}\n{"event_id":"e-2","type":"metric"}\n`;
  for (const path of ["/v1/events/batch", "/v1/exposures", "/v1/metrics"]) {
    const answer = await post(url + path, client_key, batch, { "content-type": "application/x-ndjson", origin: "https://shop.example" });
    assert.equal(answer.status, 202);
    assert.equal((await answer.json()).accepted, 2);
    assert.equal(answer.headers.get("access-control-allow-origin"), "https://shop.example");
  }
  assert.deepEqual(collector.batches.map(({ path, body, headers }) => [path, body.toString(), headers.authorization]), Array(3).fill(["/v1/events/batch", batch, `Bearer ${client_key}`]));

  const zipped = gzipSync(batch);
  await post(`${url}/v1/events/batch`, client_key, zipped, { "content-type": "application/x-ndjson", "content-encoding": "gzip" });
  assert.equal(collector.batches[3].headers["content-encoding"], "gzip");
  assert.deepEqual(collector.batches[3].body, zipped);

  reply = [429, "{}", { "retry-after": "7", "content-type": "application/problem+json" }];
  const limited = await post(`${url}/v1/events/batch`, client_key, batch);
  assert.deepEqual([limited.status, limited.headers.get("retry-after")], [429, "7"]);

  const large = new Uint8Array(4.5 * 1024 * 1024).fill(32);
  reply = undefined;
  assert.equal((await post(`${url}/v1/events/batch`, client_key, large)).status, 202);
});

test("without a reachable collector events are refused with 503 and Retry-After", async (t) => {
  const store = scratch(t);
  const { environment, client_key } = publish(store, 1);
  const settings = { SORTITION_ENVIRONMENT: environment, SORTITION_CONFIG_URL: await serveStore(t, store) };
  for (const extra of [{}, { SORTITION_COLLECTOR_URL: "http://127.0.0.1:1" }]) {
    const { url } = await startWorker(t, { ...settings, ...extra });
    const answer = await post(`${url}/v1/events/batch`, client_key, "[]");
    assert.equal(answer.status, 503);
    assert.ok(Number(answer.headers.get("retry-after")) > 0);
    assert.equal((await answer.json()).code, "collector_unavailable");
  }
});
