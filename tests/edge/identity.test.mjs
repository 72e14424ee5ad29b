// The identity cookie and deferred exposures, in workerd.

import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, post, publish, scratch, serveStore, startCollector, startWorker } from "./harness.mjs";

async function start(t) {
  const store = scratch(t);
  const fixture = publish(store, 1);
  const collector = await startCollector(t);
  const settings = {
    SORTITION_ENVIRONMENT: fixture.environment,
    SORTITION_CONFIG_URL: await serveStore(t, store),
    SORTITION_COLLECTOR_URL: collector.url,
    SORTITION_LIST_SECRET: fixture.list_secret,
  };
  return { ...fixture, collector, settings, url: (await startWorker(t, settings)).url };
}

const asking = { units: {}, keys: ["visitors"], cookie: true };

test("a browser keeps its visitor's id and variants, also at another isolate", async (t) => {
  const { url, client_key, settings } = await start(t);
  const ask = (cookie, body = asking, at = url) => post(`${at}/v1/evaluate`, client_key, body, { origin: "https://shop.example", ...(cookie && { cookie }) });
  const first = await ask();
  const set = first.headers.getSetCookie();
  assert.equal(set.length, 1);
  assert.match(set[0], /^sortition_id=[A-Za-z0-9_-]+; Path=\/; Max-Age=34560000; HttpOnly; Secure; SameSite=Lax$/);
  assert.ok(set[0].length <= 1024);
  assert.equal(first.headers.get("access-control-allow-credentials"), "true");
  assert.equal(first.headers.get("access-control-allow-origin"), "https://shop.example");
  const { anonymous_id, decisions } = await first.json();
  const cookie = set[0].split(";")[0];

  const other = await startWorker(t, settings);
  for (const at of [url, other.url]) {
    const again = await ask(cookie, asking, at);
    const answer = await again.json();
    assert.equal(answer.anonymous_id, anonymous_id);
    assert.equal(answer.decisions.visitors.variant, decisions.visitors.variant);
    assert.equal(answer.decisions.visitors.reason, "prior");
    assert.deepEqual(again.headers.getSetCookie(), []);
  }
  const ids = await Promise.all([url, other.url].map(async (at) => (await (await ask(undefined, asking, at)).json()).anonymous_id));
  assert.equal(new Set([anonymous_id, ...ids]).size, 3, "isolates mint different ids");

  const unasked = await ask(cookie, { units: {}, keys: ["visitors"] });
  assert.equal(unasked.headers.get("access-control-allow-credentials"), null);
  const forged = await ask(`${cookie.slice(0, -1)}${cookie.endsWith("A") ? "B" : "A"}`, { units: {}, keys: ["visitors"] });
  assert.equal((await forged.json()).decisions.visitors.reason, "no_unit");
});

test("a deferred exposure counts when its token is posted, and once", async (t) => {
  const { url, client_key, collector } = await start(t);
  const answer = await post(`${url}/v1/evaluate`, client_key, { units: { anonymous_id: "a-1" }, keys: ["visitors", "checkout"], exposure: "deferred" });
  const { decisions } = await answer.json();
  assert.equal(decisions.checkout.exposure_token, undefined, "not enrolled");
  const bulk = await (await post(`${url}/ofrep/v1/evaluate/flags`, client_key, { context: { anonymous_id: "a-2" } })).json();
  const token = bulk.flags.find((flag) => flag.key === "visitors").metadata.exposure_token;
  const tokens = [decisions.visitors.exposure_token, "forged", token];
  for (let round = 0; round < 2; round++) {
    const posted = await post(`${url}/v1/exposures`, client_key, { tokens });
    const receipt = await posted.json();
    assert.deepEqual([posted.status, receipt.accepted, receipt.rejected], [202, 2, 1]);
    assert.deepEqual(receipt.errors.map(({ index, code }) => [index, code]), [[1, "invalid_token"]]);
  }
  await eventually("both posts are there", () => collector.events().length === 4);
  const events = collector.events();
  assert.deepEqual(events.map((event) => event.units.anonymous_id), ["a-1", "a-2", "a-1", "a-2"]);
  assert.equal(new Set(events.map((event) => event.event_id)).size, 2);
});
