// What servers and clients look up: the client form, assignments as of any generation, and what would change an outcome.

import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, post, publish, readyz, scratch, serveStore, startNative, startWorker } from "./harness.mjs";

const get = (url, key, headers = {}) => fetch(url, { headers: { authorization: `Bearer ${key}`, ...headers } });

async function start(t) {
  const store = scratch(t);
  const keys = publish(store, 1);
  publish(store, 2);
  const faults = {};
  const worker = await startWorker(t, {
    SORTITION_ENVIRONMENT: keys.environment,
    SORTITION_LIST_SECRET: keys.list_secret,
    SORTITION_CONFIG_URL: await serveStore(t, store, faults),
  });
  return { store, faults, edges: [worker.url, await startNative(t, store)], ...keys };
}

test("Worker and native edge give a client key the same client form, and a server key the whole blob", async (t) => {
  const { edges, client_key, server_key } = await start(t);
  const forms = [];
  for (const url of edges) {
    const answer = await get(`${url}/v1/config-bundle`, client_key, { origin: "https://shop.example" });
    assert.equal(answer.status, 200);
    assert.match(answer.headers.get("cache-control"), /max-age/);
    const form = Buffer.from(await answer.arrayBuffer());
    const tag = answer.headers.get("etag");
    assert.equal((await get(`${url}/v1/config-bundle`, client_key, { "if-none-match": tag })).status, 304);
    const whole = Buffer.from(await (await get(`${url}/v1/config-bundle`, server_key)).arrayBuffer());
    assert.ok(whole.includes("checkout") && !form.includes("checkout"));
    forms.push([tag, form.toString("hex")]);
  }
  assert.deepEqual(forms[0], forms[1]);
});

test("assignments are looked up as of any archived generation, which is never swapped in", async (t) => {
  const { edges, server_key, client_key } = await start(t);
  const attributes = encodeURIComponent(JSON.stringify({ country: "US", returning: true, plan: "gold" }));
  const look = async (url, id, query = "", key = server_key) => {
    const answer = await get(`${url}/v1/units/${encodeURIComponent(id)}/assignments?${query}`, key);
    return [answer.status, await answer.text()];
  };
  for (let i = 0; i < 20; i++) {
    for (const query of ["", "&generation=1", "&generation=2", "&generation=3"]) {
      const at = `attributes=${attributes}&at=1795170600000${query}`;
      const [ours, theirs] = await Promise.all(edges.map((url) => look(url, `u/${i} 🎲`, at)));
      assert.deepEqual(ours, theirs);
      const [status, text] = ours;
      const body = JSON.parse(text);
      if (query.endsWith("3")) assert.deepEqual([status, body.code], [404, "unknown_generation"]);
      else assert.equal(body.generation, query.endsWith("1") ? 1 : 2);
    }
  }
  for (const url of edges) {
    const before = (await readyz(url)).generation;
    assert.equal(before, 2);
    const [, text] = await look(url, "u-override", "generation=1");
    const checkout = JSON.parse(text).assignments.find(({ experiment }) => experiment === "checkout");
    assert.deepEqual([checkout.variant, checkout.reason, checkout.value.published], ["treatment_b", "override", 1]);
    const answer = await post(`${url}/v1/units/u-1/assignments`, server_key, { attributes: { plan: "gold" } });
    const gold = (await answer.json()).assignments.find(({ experiment }) => experiment === "for_gold");
    assert.equal(gold.reason, "split");
    assert.equal((await look(url, "u-1", "", client_key))[0], 403);
  }
});

test("an archive that cannot be read is said so, and is read again when it can", async (t) => {
  const { edges, server_key, faults } = await start(t);
  const url = `${edges[0]}/v1/units/u-1/assignments?generation=1`;
  assert.equal((await get(url.replace("?generation=1", ""), server_key)).status, 200);
  faults.next = () => [500, "down"];
  const answer = await get(url, server_key);
  assert.deepEqual([answer.status, (await answer.json()).code], [503, "archive_unreadable"]);
  assert.ok(answer.headers.has("retry-after"));
  faults.next = undefined;
  await eventually("generation 1 is read", async () => (await get(url, server_key)).status === 200);
});
