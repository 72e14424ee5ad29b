// Configs that change under traffic: no request waits for the store after the isolate's first, and who knows of news gets them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, post, publish, readyz, scratch, serveStore, startNative, startWorker } from "./harness.mjs";

const ask = async (url, key) => (await post(`${url}/v1/evaluate`, key, { unit_id: "u-1", keys: ["checkout"], exposure: "none" })).json();

async function start(t, settings = {}) {
  const store = scratch(t);
  const fixture = publish(store, 1);
  const faults = {};
  const worker = await startWorker(t, {
    SORTITION_ENVIRONMENT: fixture.environment,
    SORTITION_CONFIG_URL: await serveStore(t, store, faults),
    ...settings,
  });
  return { ...fixture, store, faults, url: worker.url };
}

test("generation after generation is taken under traffic, no answer fails and none goes back", async (t) => {
  const { url, client_key, store } = await start(t);
  let isDone = false;
  let n_answers = 0;
  const clients = Array.from({ length: 8 }, async () => {
    let newest = 0;
    while (!isDone) {
      const { generation, decisions } = await ask(url, client_key);
      assert.ok(generation >= newest, `generation ${generation} after ${newest}`);
      assert.equal(decisions.checkout.value.published, generation, "value and generation are of one config");
      newest = generation;
      n_answers++;
    }
  });
  for (let generation = 2; generation <= 8; generation++) {
    publish(store, generation);
    await eventually(`generation ${generation} answers`, async () => (await ask(url, client_key)).generation === generation);
  }
  isDone = true;
  await Promise.all(clients);
  t.diagnostic(`${n_answers} answers meanwhile`);
});

test("a store that hangs makes no request wait after the isolate's first", async (t) => {
  const { url, client_key, store, faults } = await start(t);
  assert.equal((await ask(url, client_key)).generation, 1);
  let n_hanging = 0;
  let release;
  const held = new Promise((resolve) => (release = resolve));
  faults.next = () => {
    n_hanging++;
    return held;
  };
  publish(store, 2);
  await eventually("a refresh hangs", async () => {
    await ask(url, client_key);
    return n_hanging > 0;
  });
  // Were one of these to wait for the store, it would wait forever: nothing releases it but their answers. The edge gives the store up
  // after 2 s, which a busy machine takes for them.
  const began = performance.now();
  for (let round = 0; round < 20 && performance.now() - began < 1000; round++) {
    const answers = await Promise.all([
      ...Array.from({ length: 10 }, () => ask(url, client_key)),
      post(`${url}/ofrep/v1/evaluate/flags`, client_key, {}).then((answer) => answer.json()),
    ]);
    for (const answer of answers) assert.equal(answer.generation ?? answer.metadata.generation, 1);
  }
  assert.equal(n_hanging, 1, "one look at a time");
  // The one who knows of news waits for a moment, and is answered with what is held.
  const told = await post(`${url}/ofrep/v1/evaluate/flags?flagConfigEtag=%222.0%22`, client_key, {});
  assert.deepEqual([told.status, (await told.json()).metadata.generation], [200, 1]);
  faults.next = undefined;
  release([500, "at last"]);
  await eventually("generation 2 answers", async () => (await ask(url, client_key)).generation === 2);
  assert.equal((await readyz(url)).environments[0].last_error, null);
});

for (const kind of ["worker", "native"]) {
  test(`a client that was told of a generation is answered by it, or by a 200 (${kind})`, async (t) => {
    const worker = await start(t, { SORTITION_REFRESH_INTERVAL_MS: "60000" });
    const { client_key, store } = worker;
    const url = kind === "worker" ? worker.url : await startNative(t, store);
    const bulk = async (query, tag) => {
      const headers = tag === undefined ? {} : { "if-none-match": tag };
      const answer = await post(`${url}/ofrep/v1/evaluate/flags${query}`, client_key, { context: { targetingKey: "u-1" } }, headers);
      const text = await answer.text();
      return { status: answer.status, etag: answer.headers.get("etag"), generation: text && JSON.parse(text).metadata.generation };
    };
    const first = await bulk("");
    assert.deepEqual(await bulk("", first.etag), { status: 304, etag: first.etag, generation: "" });
    for (const form of ["2.0", "%222.0%22", "W/%222.0%22"]) {
      assert.equal((await bulk(`?flagConfigEtag=${form}`, first.etag)).status, 200, `nobody has ${form}`);
    }
    assert.equal((await bulk("?flagConfigEtag=1.0", '"0.0.0"')).status, 200, "no 304 where there would be none without it");
    publish(store, 2);
    const news = await bulk("?flagConfigEtag=2.0&flagConfigLastModified=1", first.etag);
    assert.deepEqual([news.status, news.generation], [200, 2], "it looked before it answered");
    publish(store, 3);
    const inAnHour = Math.floor(Date.now() / 1000) + 3600;
    assert.equal((await bulk(`?flagConfigLastModified=${inAnHour}`, news.etag)).generation, 3);
  });
}
