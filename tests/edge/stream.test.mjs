// Streams: from the Worker in workerd, and from the native edge where both must say the same.

import assert from "node:assert/strict";
import { test } from "node:test";
import { openStream } from "./event-stream.mjs";
import { eventually, post, publish, readyz, scratch, serveStore, startNative, startWorker } from "./harness.mjs";

// An edge that looks for news once a minute, unless somebody reads a stream.
async function start(t, kind, settings = {}) {
  const store = scratch(t);
  const fixture = publish(store, 1);
  const faults = {};
  if (kind === "native") return { ...fixture, store, faults, url: await startNative(t, store, settings) };
  const worker = await startWorker(t, {
    SORTITION_ENVIRONMENT: fixture.environment,
    SORTITION_CONFIG_URL: await serveStore(t, store, faults),
    SORTITION_REFRESH_INTERVAL_MS: "60000",
    SORTITION_STREAM_REFRESH_INTERVAL_MS: "100",
    SORTITION_STREAM_SUBREQUESTS: "100000",
    ...settings,
  });
  return { ...fixture, store, faults, url: worker.url };
}

for (const kind of ["worker", "native"]) {
  test(`news reach a stream, and who comes back hears what it missed (${kind})`, async (t) => {
    const { url, client_key, store } = await start(t, kind);
    const path = `${url}/v1/stream?key=${client_key}`;
    const stream = await openStream(t, path, { origin: "https://shop.example" });
    assert.equal(stream.response.status, 200);
    assert.equal(stream.response.headers.get("content-type"), "text/event-stream");
    assert.equal(stream.response.headers.get("access-control-allow-origin"), "https://shop.example");
    await eventually("the generation in use", () => stream.events("config").length === 1);
    assert.equal(stream.events("config")[0].json.generation, 1);
    assert.ok(stream.blocks.some((block) => Number(block.retry) >= 1000));

    publish(store, 2);
    await eventually("generation 2", () => stream.events("message").length === 1);
    const [{ json, id }] = stream.events("message");
    assert.deepEqual({ type: json.type, etag: json.etag }, { type: "refetchEvaluation", etag: id });
    assert.match(id, /^2\.[0-9a-f]+$/);
    assert.equal(stream.events("config")[1].json.generation, 2);
    await stream.close();

    // Meanwhile nobody reads a stream, and the Worker looks for nothing.
    publish(store, 3);
    const again = await openStream(t, path, { "last-event-id": id });
    await eventually("generation 3", () => again.events("message").length === 1);
    assert.equal(again.events("message")[0].json.etag.split(".")[0], "3");
    const knowing = await openStream(t, `${path}&since=${again.events("message")[0].id}`);
    await eventually("the stream stands", () => knowing.blocks.some((block) => block.id));
    assert.deepEqual(knowing.events(), [], "nothing is news");
    assert.equal((await readyz(url)).streams.open >= 1, true);
  });

  test(`a stream is for keys that are known, and a server key travels in a header (${kind})`, async (t) => {
    const { url, client_key, server_key } = await start(t, kind);
    const status = async (query, headers) => {
      const stream = await openStream(t, `${url}/v1/stream${query}`, headers);
      await stream.close();
      return stream.response.status;
    };
    assert.equal(await status("", {}), 401);
    assert.equal(await status(`?key=${client_key}x`, {}), 401);
    assert.equal(await status(`?key=${server_key}`, {}), 401);
    assert.equal(await status("", { authorization: `Bearer ${server_key}` }), 200);
    const head = await fetch(`${url}/v1/stream?key=${client_key}`, { method: "HEAD" });
    assert.deepEqual([head.status, head.headers.get("content-type")], [200, "text/event-stream"]);
    const preflight = await fetch(`${url}/v1/stream`, { method: "OPTIONS", headers: { origin: "https://shop.example" } });
    assert.match(preflight.headers.get("access-control-allow-headers"), /last-event-id/);
  });

  test(`streams are limited, and places are free again when clients leave (${kind})`, async (t) => {
    const { url, client_key } = await start(t, kind, { SORTITION_MAX_STREAMS: "3" });
    const open = () => openStream(t, `${url}/v1/stream?key=${client_key}`);
    for (let round = 0; round < 4; round++) {
      const streams = [];
      for (let n = 0; n < 3; n++) {
        const stream = await eventually("a place is free", async () => {
          const stream = await open();
          return stream.response.status === 200 && stream;
        });
        await eventually("it begins", () => stream.blocks.length > 0);
        streams.push(stream);
      }
      const refused = await open();
      assert.deepEqual([refused.response.status, refused.response.headers.get("retry-after")], [503, "5"]);
      for (const stream of streams) await stream.close();
    }
    const none = await start(t, kind, { SORTITION_MAX_STREAMS: "0" });
    const bulk = await post(`${none.url}/ofrep/v1/evaluate/flags`, none.client_key, {});
    assert.equal((await bulk.json()).eventStreams, undefined);
    assert.equal((await fetch(`${none.url}/v1/stream?key=${none.client_key}`)).status, 503);
  });
}

test("streams of one isolate share the reads of the store, and each ends after as many as it may make", async (t) => {
  const { url, client_key } = await start(t, "worker", { SORTITION_STREAM_SUBREQUESTS: "3" });
  const path = `${url}/v1/stream?key=${client_key}`;
  const stream = await openStream(t, path);
  await eventually("it ends", () => stream.isOver);
  const id = stream.blocks.find((block) => block.id).id;
  const again = await openStream(t, path, { "last-event-id": id });
  await eventually("it goes on", () => again.blocks.some((block) => block.id === id));
  assert.deepEqual(again.events(), [], "nothing was missed");
});

test("a stream that waits for a store that is down begins when it is up", async (t) => {
  const store = scratch(t);
  const { environment, client_key } = publish(store, 1);
  const faults = { next: () => [500, "down"] };
  const worker = await startWorker(t, {
    SORTITION_ENVIRONMENT: environment,
    SORTITION_CONFIG_URL: await serveStore(t, store, faults),
    SORTITION_STREAM_REFRESH_INTERVAL_MS: "100",
    SORTITION_STREAM_SUBREQUESTS: "100000",
  });
  const bulk = await (await post(`${worker.url}/ofrep/v1/evaluate/flags`, client_key, {})).json();
  assert.deepEqual(bulk.flags, []);
  const stream = await openStream(t, worker.url + bulk.eventStreams[0].endpoint.requestUri);
  await eventually("it begins", () => stream.blocks.length > 0);
  assert.deepEqual(stream.events(), []);
  faults.next = undefined;
  await eventually("the first config", () => stream.events("message").length === 1);
  assert.equal(stream.events("config")[0].json.generation, 1);
});

test("a trap ends the streams of the instance, and clients go on with the next one", async (t) => {
  const store = scratch(t);
  const { environment, client_key } = publish(store, 1);
  const worker = await startWorker(t, {
    SORTITION_ENVIRONMENT: environment,
    SORTITION_CONFIG_URL: await serveStore(t, store),
    patch: (path, text) =>
      path !== "edge_worker.js"
        ? text
        : text.replace(/wasm\.answer\(ptr0, /, `wasm.answer(head.includes("trap=1") ? 0xfffffff0 : ptr0, `),
  });
  const path = `${worker.url}/v1/stream?key=${client_key}`;
  const stream = await openStream(t, path);
  await eventually("it begins", () => stream.events("config").length === 1);
  await (await fetch(`${worker.url}/readyz?trap=1`)).text();
  await eventually("it ends", () => stream.isOver);
  const again = await openStream(t, path);
  await eventually("the next instance", () => again.events("config").length === 1);
});
