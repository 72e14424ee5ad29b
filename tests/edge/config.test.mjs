// Where the Worker gets its config from, and what it does when that goes wrong.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { eventually, post, publish, readyz, scratch, serveStore, startWorker } from "./harness.mjs";

const ask = async (url, key) => (await post(`${url}/v1/evaluate`, key, { unit_id: "u-1", keys: ["checkout"], exposure: "none" })).json();

test("a new generation is taken over HTTP while requests go on", async (t) => {
  const store = scratch(t);
  const { environment, client_key } = publish(store, 1);
  const worker = await startWorker(t, { SORTITION_ENVIRONMENT: environment, SORTITION_CONFIG_URL: await serveStore(t, store) });
  assert.equal((await ask(worker.url, client_key)).generation, 1, "the first request waits for the first load");
  publish(store, 2);
  const answer = await eventually("generation 2 answers", async () => {
    const answer = await ask(worker.url, client_key);
    return answer.generation === 2 && answer;
  });
  assert.equal(answer.decisions.checkout.value.published, 2);
});

test("configs are read from an R2 bucket that is bound as CONFIGS", async (t) => {
  const store = scratch(t);
  const { environment, client_key } = publish(store, 1);
  const worker = await startWorker(t, { bucket: true, SORTITION_ENVIRONMENT: environment });
  const upload = async () => {
    const pointer = readFileSync(join(store, `configs/${environment}/latest.json`), "utf8");
    const { object } = JSON.parse(pointer);
    await worker.bucket.put(object, new Uint8Array(readFileSync(join(store, object))).buffer);
    await worker.bucket.put(`configs/${environment}/latest.json`, pointer);
  };
  await upload();
  assert.equal((await ask(worker.url, client_key)).generation, 1);
  publish(store, 5);
  await upload();
  await eventually("generation 5 answers", async () => (await ask(worker.url, client_key)).generation === 5);
});

test("a bucket that hangs is given up like any other store", async (t) => {
  const { environment, client_key } = publish(scratch(t), 1);
  let n_patched = 0;
  const patch = (path, text) =>
    path === "io.js"
      ? text.replace("await bucket.get(key)", () => {
          n_patched++;
          return "await new Promise(() => {})";
        })
      : text;
  const worker = await startWorker(t, { bucket: true, patch, SORTITION_ENVIRONMENT: environment });
  assert.equal(n_patched, 1);
  const { decisions } = await ask(worker.url, client_key);
  assert.equal(decisions.checkout.reason, "not_found");
  assert.match((await readyz(worker.url)).environments[0].last_error, /the bucket took more than/);
});

test("without any config the defaults are answered, and service begins when the store comes up", async (t) => {
  const store = scratch(t);
  const { environment, client_key } = publish(store, 1);
  const faults = { next: () => [500, "down"] };
  const worker = await startWorker(t, { SORTITION_ENVIRONMENT: environment, SORTITION_CONFIG_URL: await serveStore(t, store, faults) });
  for (const key of [client_key, "sk_client_elsewhere-aaaaaaaa_x", "anything"]) {
    const answer = await post(`${worker.url}/v1/evaluate`, key, { units: { user_id: "u-1" }, keys: ["checkout"] });
    assert.equal(answer.status, 200);
    assert.deepEqual(await answer.json(), {
      generation: null,
      decisions: { checkout: { variant: null, value: null, enrolled: false, reason: "not_found" } },
    });
    const flag = await post(`${worker.url}/ofrep/v1/evaluate/flags/checkout`, key, {});
    assert.equal(flag.status, 404);
    assert.equal((await flag.json()).errorCode, "FLAG_NOT_FOUND");
    assert.deepEqual((await (await post(`${worker.url}/ofrep/v1/evaluate/flags`, key, {})).json()).flags, []);
  }
  assert.equal((await fetch(`${worker.url}/readyz`)).status, 503);
  assert.match((await readyz(worker.url)).environments.find((e) => e.environment === environment).last_error, /500/);
  faults.next = undefined;
  await eventually("the config answers", async () => (await ask(worker.url, client_key)).generation === 1);
  assert.equal((await fetch(`${worker.url}/readyz`)).status, 200);
});

test("without a store at all the defaults are answered", async (t) => {
  const worker = await startWorker(t);
  assert.deepEqual(await ask(worker.url, "sk_client_production-aaaaaaaa_x"), {
    generation: null,
    decisions: { checkout: { variant: null, value: null, enrolled: false, reason: "not_found" } },
  });
});

test("damaged, foreign and older configs are refused, the old one stays, and /readyz says so", async (t) => {
  const store = scratch(t);
  const { environment, client_key } = publish(store, 3);
  const worker = await startWorker(t, { SORTITION_ENVIRONMENT: environment, SORTITION_CONFIG_URL: await serveStore(t, store) });
  const before = await ask(worker.url, client_key);
  assert.equal(before.generation, 3);
  publish(store, 4);
  const latest = join(store, `configs/${environment}/latest.json`);
  const pointer = readFileSync(latest, "utf8");
  const object = join(store, JSON.parse(pointer).object);
  const good = readFileSync(object);
  const edited = (edit) => {
    const bytes = Buffer.from(good);
    edit(bytes);
    return bytes;
  };
  const damage = {
    truncated: good.subarray(0, good.length - 7),
    "bit flipped in the body": edited((bytes) => (bytes[bytes.length - 20] ^= 4)),
    "bit flipped in the header": edited((bytes) => (bytes[40] ^= 1)),
    "newer format": edited((bytes) => bytes.writeUInt16LE(999, 4)),
    "not a blob": Buffer.from("<html>not found</html>"),
    empty: Buffer.alloc(0),
  };
  const refusedSince = async (what, reason) => {
    const { ms_ago } = (await readyz(worker.url)).environments[0].last_refused ?? { ms_ago: Infinity };
    const since = Date.now() - ms_ago;
    const refused = await eventually(`${what} is refused`, async () => {
      assert.deepEqual(await ask(worker.url, client_key), before, what);
      const { generation, environments } = await readyz(worker.url);
      assert.equal(generation, 3, what);
      const refused = environments[0].last_refused;
      return refused && Date.now() - refused.ms_ago > since + 50 && refused.reason.match(reason) && refused;
    });
    t.diagnostic(`${what}: ${refused.reason}`);
  };
  for (const [what, bytes] of Object.entries(damage)) {
    writeFileSync(object, bytes);
    await refusedSince(what, /./);
  }
  writeFileSync(object, good);
  writeFileSync(latest, "{");
  await refusedSince("an unreadable pointer", /pointer/);
  writeFileSync(latest, pointer.replaceAll(/4(?=[-,])/g, "2"));
  await refusedSince("an older generation", /below/);
  writeFileSync(latest, pointer.replace(/"object":"[^"]*"/, `"object":"configs/${environment}/4-gone.bin"`));
  await eventually("a missing object is reported", async () => {
    assert.deepEqual(await ask(worker.url, client_key), before);
    return (await readyz(worker.url)).environments[0].last_error?.includes("does not have");
  });
  writeFileSync(latest, pointer);
  await eventually("the good blob is taken", async () => (await ask(worker.url, client_key)).generation === 4);
  assert.equal((await readyz(worker.url)).environments[0].last_error, null);
});

test("the config bundle is the blob, with a tag", async (t) => {
  const store = scratch(t);
  const { environment, client_key, server_key } = publish(store, 1);
  const worker = await startWorker(t, { SORTITION_ENVIRONMENT: environment, SORTITION_CONFIG_URL: await serveStore(t, store) });
  const url = `${worker.url}/v1/config-bundle`;
  const bundle = await fetch(url, { headers: { "x-sdk-key": server_key } });
  assert.equal(bundle.status, 200);
  const { object } = JSON.parse(readFileSync(join(store, `configs/${environment}/latest.json`)));
  assert.deepEqual(Buffer.from(await bundle.arrayBuffer()), readFileSync(join(store, object)));
  assert.match(bundle.headers.get("cache-control"), /stale-while-revalidate/);
  const again = await fetch(url, { headers: { "x-sdk-key": server_key, "if-none-match": bundle.headers.get("etag") } });
  assert.equal(again.status, 304);
  const head = await fetch(url, { method: "HEAD", headers: { "x-sdk-key": server_key } });
  assert.deepEqual([head.status, await head.text()], [200, ""]);
  const form = await fetch(`${url}?key=${client_key}`);
  assert.equal(form.status, 200);
  assert.notEqual(form.headers.get("etag"), bundle.headers.get("etag"));
});
