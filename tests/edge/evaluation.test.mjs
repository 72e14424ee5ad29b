// The Worker decides what the native edge decides, byte for byte, and both decide what the formula says.

import assert from "node:assert/strict";
import { test } from "node:test";
import { post, publish, scratch, serveStore, startNative, startWorker } from "./harness.mjs";

// bucket(salt, unit) = murmur3_x86_32(utf8(salt + ":" + unit), seed 0) mod 10 000, written from the specification.
function bucket(salt, unit) {
  const bytes = new TextEncoder().encode(`${salt}:${unit}`);
  const mix = (k) => {
    k = Math.imul(k, 0xcc9e2d51);
    return Math.imul((k << 15) | (k >>> 17), 0x1b873593);
  };
  let h = 0;
  const whole = bytes.length & ~3;
  for (let i = 0; i < whole; i += 4) {
    h ^= mix(bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24));
    h = (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
  }
  let k = 0;
  for (let i = bytes.length - 1; i >= whole; i--) k = (k << 8) | bytes[i];
  if (bytes.length > whole) h ^= mix(k);
  h ^= bytes.length;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return ((h ^ (h >>> 16)) >>> 0) % 10_000;
}

function expectedCheckout(unit) {
  if (bucket("holdoutholdout2", unit) < 500) return ["control", "holdout"];
  if (bucket("layersaltlayer2", unit) >= 8000) return ["control", "traffic"];
  const b = bucket("checkout-split", unit);
  return [b < 5000 ? "control" : b < 7500 ? "treatment_a" : "treatment_b", "split"];
}

test("Worker and native edge answer the same bytes for thousands of units, as the formula says", async (t) => {
  const store = scratch(t);
  const { environment, server_key, list_secret } = publish(store, 1);
  const settings = { SORTITION_ENVIRONMENT: environment, SORTITION_LIST_SECRET: list_secret };
  const worker = await startWorker(t, { ...settings, SORTITION_CONFIG_URL: await serveStore(t, store) });
  const native = await startNative(t, store);

  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  t.diagnostic(`seed ${seed}`);
  let state = seed;
  const random = (n) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  const pick = (...values) => values[random(values.length)];
  const n_units = 3000;
  let n_checked = 0;
  const one = async (i) => {
    const unit = pick(`u-${i}`, `Ünïcode-${i}-🎲`, `${i}`, `long-${"x".repeat(random(200))}-${i}`);
    const attributes = {
      country: pick("US", "CA", "DE", 7, null),
      returning: pick(true, true, true, false, "true"),
      platform: pick("ios", "web", ["ios"], undefined),
    };
    const units = pick({ user_id: unit }, { user_id: unit, anonymous_id: `a-${i}` }, { anonymous_id: `a-${i}` });
    const context = { targetingKey: units.user_id, anonymous_id: units.anonymous_id, ...attributes };
    const requests = [
      ["/v1/evaluate", { units, attributes, exposure: "none" }],
      ["/v1/evaluate?explain=true", { units, attributes, keys: ["checkout", "new_nav"], exposure: "none" }],
      ["/ofrep/v1/evaluate/flags", { context }],
      ["/ofrep/v1/evaluate/flags/checkout", { context }],
    ];
    const [path, body] = i % 3 === 0 ? requests[1 + random(3)] : requests[0];
    const [ours, theirs] = await Promise.all([post(worker.url + path, server_key, body), post(native + path, server_key, body)]);
    const [text, expected] = await Promise.all([ours.text(), theirs.text()]);
    assert.equal(ours.status, 200);
    assert.equal(text, expected);
    assert.equal(ours.headers.get("etag"), theirs.headers.get("etag"));
    if (path === "/v1/evaluate" && units.user_id && ["US", "CA"].includes(attributes.country) && attributes.returning === true) {
      const { variant, reason } = JSON.parse(text).decisions.checkout;
      assert.deepEqual([variant, reason], expectedCheckout(unit), unit);
      n_checked++;
    }
  };
  for (let i = 0; i < n_units; i += 50) {
    await Promise.all(Array.from({ length: 50 }, (_, j) => one(i + j)));
  }
  assert.ok(n_checked > 100, `${n_checked} units were compared with the formula`);
});

test("lists of unit ids match with the list secret", async (t) => {
  const store = scratch(t);
  const { environment, client_key, list_secret } = publish(store, 1);
  const settings = { SORTITION_ENVIRONMENT: environment, SORTITION_CONFIG_URL: await serveStore(t, store) };
  const decide = async (url) => {
    const answer = await post(`${url}/v1/evaluate`, client_key, { unit_id: "u-override", keys: ["checkout"] });
    return (await answer.json()).decisions.checkout.reason;
  };
  const knowing = await startWorker(t, { ...settings, SORTITION_LIST_SECRET: list_secret });
  assert.equal(await decide(knowing.url), "override");
  const ignorant = await startWorker(t, settings);
  assert.equal(await decide(ignorant.url), "targeting");
  const ready = await (await fetch(`${ignorant.url}/readyz`)).json();
  assert.equal(ready.environments[0].missing_list_key, true);
});
