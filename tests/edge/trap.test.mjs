// A trap ends a Wasm instance for good. The request is answered with the defaults, and the next ones by a fresh instance.

import assert from "node:assert/strict";
import { test } from "node:test";
import { post, publish, scratch, serveStore, startWorker } from "./harness.mjs";

test("a trap is answered with the defaults, and the instance is replaced", async (t) => {
  const store = scratch(t);
  const { environment, client_key } = publish(store, 1);
  let n_patched = 0;
  const worker = await startWorker(t, {
    SORTITION_ENVIRONMENT: environment,
    SORTITION_CONFIG_URL: await serveStore(t, store),
    // A pointer beyond the memory: reading the request then really traps.
    patch: (path, text) =>
      path !== "edge_worker.js"
        ? text
        : text.replace(/wasm\.answer\(ptr0, /, () => {
            n_patched++;
            return `wasm.answer(head.includes("trap=1") ? 0xfffffff0 : ptr0, `;
          }),
  });
  assert.equal(n_patched, 1);
  const ask = async () => (await post(`${worker.url}/v1/evaluate`, client_key, { unit_id: "u-1", keys: ["visitors", "killed"] })).json();
  const before = await ask();
  assert.equal(before.generation, 1);
  for (let i = 0; i < 3; i++) {
    const [evaluated, flag, flags, ready] = await Promise.all([
      post(`${worker.url}/v1/evaluate?trap=1`, client_key, { unit_id: "u-1" }),
      post(`${worker.url}/ofrep/v1/evaluate/flags/killed?trap=1`, client_key, {}),
      post(`${worker.url}/ofrep/v1/evaluate/flags?trap=1`, client_key, {}),
      fetch(`${worker.url}/readyz?trap=1`),
    ]);
    assert.deepEqual([evaluated.status, await evaluated.json()], [200, { generation: null, decisions: {} }]);
    assert.equal(flag.status, 200);
    const { key, reason, variant, value } = await flag.json();
    assert.deepEqual({ key, reason, variant, value }, { key: "killed", reason: "UNKNOWN", variant: "", value: undefined });
    assert.deepEqual((await flags.json()).flags, []);
    assert.equal(ready.status, 503);
    await ready.text();
    assert.deepEqual(await ask(), before, "a fresh instance answers as the old one did");
  }
});
