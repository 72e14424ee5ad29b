// The collector is down: with a queue nothing is lost, without one the losses are counted and reported. No answer is later for it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { eventually, post, publish, readyz, scratch, serveStore, startCollector, startWorker } from "./harness.mjs";

// Message retries wait 5 to 10 s, as the Worker asks the queue to.
const PATIENCE_MS = 60_000;

async function start(t, { queue = false, answers = {}, ...settings } = {}) {
  const store = scratch(t);
  const fixture = publish(store, 1);
  const collector = await startCollector(t, answers);
  const worker = await startWorker(t, {
    queue,
    SORTITION_ENVIRONMENT: fixture.environment,
    SORTITION_CONFIG_URL: await serveStore(t, store),
    SORTITION_COLLECTOR_URL: collector.url,
    SORTITION_LIST_SECRET: fixture.list_secret,
    ...settings,
  });
  return { ...fixture, collector, url: worker.url };
}

const visit = (url, key, id, extra) => post(`${url}/v1/evaluate`, key, { units: { anonymous_id: id }, keys: ["visitors"], ...extra });
const visitors = (events) => events.map((event) => event.units.anonymous_id).sort();

test("with a queue nothing is lost while the collector is down, and it is all there when it is back", async (t) => {
  const answers = { next: () => [503, "down"] };
  const { url, client_key, collector } = await start(t, { queue: true, answers });
  const ids = Array.from({ length: 50 }, (_, n) => `a-${n}`);
  for (const id of ids) assert.equal((await visit(url, client_key, id)).status, 200);
  await eventually("the queue has them", async () => (await readyz(url)).exposures.queued === 50);
  assert.equal(collector.events().length, 0);
  const { exposures } = await readyz(url);
  assert.deepEqual([exposures.pending, exposures.dropped, exposures.collector_failures > 0], [0, 0, true]);
  answers.next = undefined;
  await eventually("the collector has them", () => collector.events().length >= 50, PATIENCE_MS);
  const events = collector.events();
  assert.deepEqual(visitors(events), ids.sort());
  assert.deepEqual(new Set(events.map((event) => event.producer_id)).size, 1);
  assert.deepEqual(events.map((event) => event.producer_seq).sort((a, b) => a - b), Array.from({ length: 50 }, (_, n) => n + 1));
});

test("a queue takes clients' events and tokens when the collector cannot be reached", async (t) => {
  const answers = { next: () => [522, "no origin"] }; // what Cloudflare answers for a server that does not
  const { url, client_key, collector } = await start(t, { queue: true, answers });
  const { decisions } = await (await visit(url, client_key, "a-1", { exposure: "deferred" })).json();
  const tokens = [decisions.visitors.exposure_token, "nonsense"];
  const deferred = await post(`${url}/v1/exposures`, client_key, { tokens });
  assert.equal(deferred.status, 202);
  const receipt = await deferred.json();
  assert.deepEqual([receipt.queued, receipt.rejected, receipt.errors[0].index], [true, 1, 1]);

  const large = Array.from({ length: 4000 }, (_, n) => ({ event_id: `e-${n}`, text: "x".repeat(60) }));
  for (const [body, headers] of [
    [JSON.stringify(large), { "content-type": "application/json" }],
    [gzipSync(`{"event_id":"zipped"}\n`), { "content-type": "application/x-ndjson", "content-encoding": "gzip" }],
  ]) {
    const answer = await post(`${url}/v1/events/batch`, client_key, body, { origin: "https://shop.example", ...headers });
    assert.deepEqual([answer.status, (await answer.json()).queued], [202, true]);
    assert.equal(answer.headers.get("access-control-allow-origin"), "https://shop.example");
  }
  const tooLarge = gzipSync(Buffer.from(Array.from({ length: 300_000 }, () => Math.floor(Math.random() * 256))));
  const refused = await post(`${url}/v1/events/batch`, client_key, tooLarge, { "content-encoding": "gzip" });
  assert.equal(refused.status, 503, "compressed, and larger than a message");

  answers.next = undefined;
  const isZipped = ({ headers }) => headers["content-encoding"] === "gzip";
  const plain = () => collector.batches.filter((batch) => !isZipped(batch)).flatMap(({ body }) => body.toString().split("\n").filter(Boolean));
  await eventually("all is there", () => collector.batches.some(isZipped) && plain().length >= 4001, PATIENCE_MS);
  const events = plain().map((line) => JSON.parse(line));
  assert.equal(new Set(events.map((event) => event.event_id)).size, 4001);
  assert.equal(events.find((event) => event.type === "exposure").units.anonymous_id, "a-1");
  assert.ok(collector.batches.every(({ headers }) => headers.authorization === `Bearer ${client_key}`));
});

test("a key that the collector refuses is not asked for again", async (t) => {
  let n_asked = 0;
  const answers = { next: () => (n_asked++, [401, "{}"]) };
  const { url, client_key } = await start(t, { queue: true, answers });
  await visit(url, client_key, "a-1");
  await eventually("the loss is counted", async () => (await readyz(url)).exposures.dropped === 1);
  assert.equal(n_asked, 1);
});

test("without a queue what finds no room is dropped, counted, and reported when the collector is back", async (t) => {
  const answers = { next: () => [503, "down"] };
  const { url, client_key, collector } = await start(t, { answers });
  const attributes = { path: "x".repeat(250), country: "x".repeat(250), platform: "x".repeat(250), device: "x".repeat(250) };
  for (let round = 0; round < 40; round++) {
    const asked = Array.from({ length: 100 }, (_, n) => visit(url, client_key, `a-${round}-${n}`, { attributes }));
    for (const answer of await Promise.all(asked)) assert.equal(answer.status, 200);
  }
  const { exposures } = await readyz(url);
  assert.ok(exposures.dropped > 0 && exposures.pending_bytes <= 4 * 1024 * 1024, JSON.stringify(exposures));
  assert.equal(exposures.pending + exposures.dropped, 4000);
  answers.next = undefined;
  const reported = () => collector.events().filter((event) => event.name === "exposures_lost");
  await eventually(
    "the rest is there, with a report",
    async () => {
      await fetch(`${url}/healthz`);
      return reported().length > 0 && collector.events().length > 4000 - exposures.dropped;
    },
    PATIENCE_MS,
  );
  const lost = reported().reduce((sum, event) => sum + event.value, 0);
  const arrived = new Set(collector.events().filter((event) => event.type === "exposure").map((event) => event.event_id));
  assert.deepEqual([lost, arrived.size], [exposures.dropped, 4000 - exposures.dropped]);
  assert.ok(reported().every((event) => event.type === "diagnostic" && event.producer_id === exposures.producer_id));
});

test("a collector that hangs costs no answer any time", async (t) => {
  const held = new Promise(() => {});
  const { url, client_key } = await start(t, { queue: true, answers: { next: () => held } });
  for (let n = 0; n < 20; n++) {
    const answer = await visit(url, client_key, `a-${n}`);
    assert.equal((await answer.json()).decisions.visitors.enrolled, true);
  }
  // The post times out after 5 s; the queue then has what waited.
  await eventually("the queue has them", async () => (await readyz(url)).exposures.queued === 20, PATIENCE_MS);
});
