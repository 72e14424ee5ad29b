// The package in Node.js: what it decides by itself, what it leaves to the edge, and what it does when things go wrong.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient, ExposureHook, ExposureQueue } from "@sortition/client";
import { eventually, exposures, post, publish, startEdge } from "./support.mjs";

async function connect(t, edge, options = {}) {
  const errors = [];
  const client = await createClient({
    edge: edge.url,
    sdkKey: edge.keys.client_key,
    refreshIntervalMs: 0,
    flushIntervalMs: 10,
    onError: (error) => errors.push(error.message),
    ...options,
  });
  t.after(() => client.close());
  return { client, errors };
}

const LOCAL = ["scheduled", "paused", "in_browser", "killed"];
const AT_EDGE = ["visitors", "checkout", "for_gold", "new_nav", "by_experiment", "ratio"];

test("keys are decided here or at the edge, always as the edge decides them", async (t) => {
  const edge = await startEdge(t);
  const { client, errors } = await connect(t, edge);
  assert.equal(client.generation, 1);
  let n_enrolled = 0;
  for (let i = 0; i < 200; i++) {
    const context = {
      units: { anonymous_id: `a-${i}`, ...(i % 3 === 0 ? {} : { user_id: `u-${i}` }) },
      attributes: {
        country: ["DE", "US", "CA", 7, undefined][i % 5],
        app_version: ["2.0.0", "1.9.9", "2.1.0-rc.1", "odd"][i % 4],
        returning: i % 2 === 0,
        plan: "gold",
      },
    };
    const answer = await post(`${edge.url}/v1/evaluate`, edge.keys.server_key, {
      ...context,
      exposure: "none",
    });
    const { decisions } = await answer.json();
    const got = await Promise.all([...LOCAL, ...AT_EDGE].map((key) => client.evaluate(key, context)));
    for (const { key, variant, value, enrolled, reason, source, generation } of got) {
      assert.deepEqual(
        { variant, value, enrolled, reason },
        decisions[key],
        `${key} ${JSON.stringify(context)}`,
      );
      assert.equal(source, LOCAL.includes(key) ? "local" : "edge", key);
      assert.equal(generation, 1);
      n_enrolled += Number(enrolled && source === "local");
    }
  }
  assert.ok(n_enrolled > 15, `${n_enrolled} enrolled`);
  const context = { units: { user_id: "u-1" } };
  assert.equal((await client.evaluate("no such key", context)).reason, "not_found");
  assert.equal(client.evaluateLocal("checkout", context), undefined);
  assert.equal(client.evaluateLocal("killed", context).variant, "off");
  assert.deepEqual(errors, []);
  assert.deepEqual(exposures(edge), [], "deciding reports nothing as shown");
});

test("keys of one turn share a request", async (t) => {
  const edge = await startEdge(t);
  let n_requests = 0;
  const counting = (url, init) => {
    n_requests++;
    return fetch(url, init);
  };
  const { client } = await connect(t, edge, { fetch: counting });
  const before = n_requests;
  const context = { units: { user_id: "u-1" } };
  await Promise.all([...AT_EDGE, ...AT_EDGE].map((key) => client.evaluate(key, context)));
  assert.equal(n_requests - before, 1);
});

test("the edge's cookie takes part where it is asked for", async () => {
  const sent = [];
  const answer = {
    generation: 1,
    decisions: { key: { variant: "a", value: 1, enrolled: false, reason: "rule" } },
  };
  const observing = (_url, { body, credentials }) => {
    if (body !== undefined) sent.push([JSON.parse(body).cookie, credentials]);
    return Promise.resolve(Response.json(answer, { status: body === undefined ? 404 : 200 }));
  };
  for (const cookie of [true, false]) {
    const options = {
      edge: "https://edge.example.com",
      sdkKey: "sk_client_production_x",
      cookie,
      fetch: observing,
    };
    const client = await createClient(options);
    assert.equal((await client.evaluate("key", { units: {} })).variant, "a");
    await client.close();
  }
  assert.deepEqual(sent, [
    [true, "include"],
    [undefined, undefined],
  ]);
});

test("a newer config is taken by its tag, and the last good one is kept", async (t) => {
  const edge = await startEdge(t);
  const answers = [];
  let broken;
  const observing = async (url, init) => {
    if (broken && url.endsWith("/v1/config-bundle")) return broken();
    const response = await fetch(url, init);
    answers.push([new URL(url).pathname, response.status]);
    return response;
  };
  const { client, errors } = await connect(t, edge, { fetch: observing });
  assert.equal(await client.refresh(), false);
  assert.deepEqual(answers.at(-1), ["/v1/config-bundle", 304]);
  publish(edge.store, 2);
  await eventually("generation 2", async () => (await client.refresh()) && client.generation === 2);
  const good = await (await fetch(`${edge.url}/v1/config-bundle?key=${edge.keys.client_key}`)).arrayBuffer();
  const flipped = new Uint8Array(good.slice(0));
  flipped[flipped.length - 1] ^= 1;
  const faults = [
    () => Promise.reject(new TypeError("fetch failed")),
    () => new Response("busy", { status: 503 }),
    () => new Response(flipped),
    () => new Response(new Uint8Array(good, 0, 100)),
    () => new Response("<html>"),
    async () => {
      const answer = await fetch(`${edge.url}/v1/config-bundle`, {
        headers: { authorization: `Bearer ${edge.keys.server_key}` },
      });
      return new Response(await answer.arrayBuffer());
    },
  ];
  const context = {
    units: { anonymous_id: "a-1" },
    attributes: { country: "DE", app_version: "3.0.0" },
  };
  const before = client.evaluateLocal("in_browser", context);
  assert.equal(before.enrolled, true);
  for (const fault of faults) {
    broken = fault;
    assert.equal(await client.refresh(), false);
    assert.deepEqual(client.evaluateLocal("in_browser", context), before);
  }
  assert.equal(errors.length, faults.length, errors.join("\n"));
  broken = undefined;
  publish(edge.store, 3);
  await eventually("generation 3", async () => (await client.refresh()) && client.generation === 3);
});

test("without an edge every key leaves the caller with its default", async (t) => {
  const errors = [];
  const client = await createClient({
    edge: "http://127.0.0.1:9",
    sdkKey: "sk_client_production_x",
    onError: (error) => errors.push(error),
  });
  t.after(() => client.close());
  const decision = await client.evaluate("checkout", { units: { user_id: "u-1" } });
  assert.deepEqual(decision, {
    key: "checkout",
    variant: null,
    value: null,
    enrolled: false,
    reason: "not_found",
    generation: null,
    source: "none",
  });
  assert.ok(errors.length >= 2);
});

test("what is shown is reported once, whoever decided it, and nothing else is", async (t) => {
  const edge = await startEdge(t);
  const { client, errors } = await connect(t, edge);
  const units = { anonymous_id: "a-1", user_id: "u-7" };
  const context = { units, attributes: { plan: "gold", country: "DE", app_version: "3.0.0" } };
  const keys = ["in_browser", "for_gold", "scheduled", "paused"];
  const decisions = await Promise.all(keys.map((key) => client.evaluate(key, context)));
  assert.deepEqual(
    decisions.map(({ enrolled, source }) => [enrolled, source]),
    [
      [true, "local"],
      [true, "edge"],
      [false, "local"],
      [false, "local"],
    ],
  );
  assert.equal(typeof decisions[1].exposureToken, "string");
  for (const decision of [...decisions, ...decisions]) await client.expose(decision);
  await client.exposures.flush();
  const got = await eventually("both exposures", () => exposures(edge).length >= 2 && exposures(edge));
  const expected = decisions.slice(0, 2).map(({ key, variant }) => ({ experiment: key, variant, units }));
  const byName = (a, b) => a.experiment.localeCompare(b.experiment);
  assert.deepEqual(got.sort(byName), expected.sort(byName));
  assert.deepEqual(errors, []);
});

test("tokens are sent in batches, once each, and again after a fault", async (t) => {
  const requests = [];
  const answers = [503, "down", 202, 202];
  const queue = new ExposureQueue({
    edge: "https://edge.example.com/",
    sdkKey: "sk_client_production_x",
    flushIntervalMs: 1,
    fetch: (url, init) => {
      requests.push([url, new Headers(init.headers).get("authorization"), JSON.parse(init.body).tokens]);
      const answer = answers.shift() ?? 202;
      return answer === "down"
        ? Promise.reject(new TypeError("fetch failed"))
        : new Response("{}", { status: answer });
    },
  });
  t.after(() => queue.close());
  const hook = new ExposureHook(queue);
  const read = (token) =>
    hook.after({}, { flagMetadata: token === undefined ? {} : { exposure_token: token } });
  for (let i = 0; i < 150; i++) read(`t-${i}`);
  for (let i = 0; i < 150; i++) read(`t-${i}`);
  read(undefined);
  read(5);
  assert.equal(queue.n_pending, 150);
  await eventually("all are sent", () => queue.n_pending === 0 && requests.length === 4);
  assert.ok(
    requests.every(
      ([url, key]) =>
        url === "https://edge.example.com/v1/exposures" && key === "Bearer sk_client_production_x",
    ),
  );
  const all = Array.from({ length: 150 }, (_, i) => `t-${i}`);
  assert.deepEqual(
    requests.map(([, , tokens]) => tokens),
    [all.slice(0, 100), all.slice(0, 100), all.slice(0, 100), all.slice(100)],
  );
  for (let i = 0; i < 1100; i++) read(`more-${i}`);
  assert.deepEqual(
    [queue.n_pending, queue.n_dropped],
    [1000, 100],
    "memory is bounded, and what is lost is counted",
  );
});

test("tokens that the edge refuses are given up", async (t) => {
  const queue = new ExposureQueue({
    edge: "https://edge.example.com",
    sdkKey: "sk_client_production_x",
    fetch: () => Promise.resolve(new Response("{}", { status: 401 })),
  });
  t.after(() => queue.close());
  queue.add("t");
  await queue.flush();
  assert.deepEqual([queue.n_pending, queue.n_dropped], [0, 1]);
});
