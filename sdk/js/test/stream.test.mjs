// News by the stream, in Node.js: a newer config is there at once, nothing is missed while a connection is broken, and without a stream the
// client polls. What EventSource does is tested in a browser (browser.test.mjs).

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { createClient } from "@sortition/client";
import { EventReader } from "../dist/events.js";
import { eventually, publish, readyz, ROOT, startEdge } from "./support.mjs";

// Far longer than any test: whatever arrives was not polled for.
const NEVER_MS = 3_600_000;

// A client whose streams can be looked at and broken off.
async function connect(t, edge, options = {}) {
  const errors = [];
  const generations = [];
  const streams = [];
  const looks = [];
  const observing = async (url, init) => {
    const { pathname, searchParams } = new URL(url);
    const headers = new Headers(init.headers);
    if (pathname !== "/v1/stream") {
      if (pathname === "/v1/config-bundle") looks.push(searchParams.get("flagConfigEtag"));
      return fetch(url, init);
    }
    const broken = new AbortController();
    const stream = {
      lastEventId: headers.get("last-event-id"),
      authorization: headers.get("authorization"),
      query: [...searchParams.keys()],
      signal: init.signal,
      break: () => broken.abort(new Error("broken off")),
    };
    streams.push(stream);
    return fetch(url, { ...init, signal: AbortSignal.any([init.signal, broken.signal]) });
  };
  const client = await createClient({
    edge: edge.url,
    sdkKey: edge.keys.client_key,
    refreshIntervalMs: NEVER_MS,
    onError: (error) => errors.push(error.message),
    onConfig: (generation) => generations.push(generation),
    fetch: observing,
    ...options,
  });
  t.after(() => client.close());
  return { client, errors, generations, streams, looks };
}

test("a newer config arrives by the stream, and nothing is missed while it is broken", async (t) => {
  const edge = await startEdge(t, 1, { SORTITION_STREAM_REFRESH_INTERVAL_MS: "100" });
  const { client, errors, generations, streams, looks } = await connect(t, edge);
  assert.equal(client.generation, 1);
  await eventually("the stream stands", () => client.isStreaming);
  const [first] = streams;
  assert.deepEqual(
    [first.lastEventId, first.query, first.authorization],
    [null, [], `Bearer ${edge.keys.client_key}`],
    "a platform that can send headers keeps the key out of the URL",
  );

  publish(edge.store, 2);
  const began = performance.now();
  await eventually("generation 2", () => client.generation === 2);
  t.diagnostic(`published and taken within ${Math.round(performance.now() - began)} ms`);
  assert.match(looks[1], /^2\.[0-9a-f]+$/, "the edge is told what the stream has said");
  assert.deepEqual(errors, []);

  first.break();
  await eventually("the break is noticed", () => errors.length === 1);
  assert.equal(client.isStreaming, false);
  publish(edge.store, 3);
  await eventually("generation 3", () => client.generation === 3);
  assert.match(streams[1].lastEventId, /^2\.[0-9a-f]+$/);
  assert.deepEqual(generations, [1, 2, 3]);
  assert.equal(streams.length, 2);

  await client.close();
  assert.deepEqual([client.isStreaming, streams[1].signal.aborted], [false, true]);
  await eventually("the edge's place is free", async () => (await readyz(edge.url)).streams.open === 0);
  assert.equal(errors.length, 1, errors.join());
});

test("an edge that ends its streams is connected to again, without an error", async (t) => {
  // A Worker's stream may look at the store three times.
  const edge = await startEdge(t, 1, {
    SORTITION_STREAM_SUBREQUESTS: "3",
    SORTITION_STREAM_REFRESH_INTERVAL_MS: "50",
  });
  const { client, errors, streams } = await connect(t, edge);
  await eventually("the third stream", () => streams.length === 3);
  publish(edge.store, 2);
  await eventually("generation 2", () => client.generation === 2);
  assert.match(streams[2].lastEventId, /^1\.[0-9a-f]+$/);
  assert.deepEqual(errors, []);
});

test("without a stream the client polls", async (t) => {
  const edge = await startEdge(t, 1, { SORTITION_MAX_STREAMS: "0" });
  const { client, errors, streams, looks } = await connect(t, edge, { refreshIntervalMs: 50 });
  await eventually("the stream is refused", () => errors.length > 0);
  assert.match(errors[0], /stream: the edge answered 503/);
  publish(edge.store, 2);
  await eventually("generation 2", () => client.generation === 2);
  assert.equal(client.isStreaming, false);
  assert.ok(looks.every((told) => told === null));
  assert.ok(streams.length < looks.length, "a refused stream is tried ever more seldom");
});

test("a stream is opened only where one is wanted", async (t) => {
  const edge = await startEdge(t);
  for (const options of [{ refreshIntervalMs: 0 }, { stream: false }]) {
    const { client, streams } = await connect(t, edge, options);
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.deepEqual([streams.length, client.isStreaming], [0, false]);
  }
  const { client } = await connect(t, edge, { refreshIntervalMs: 0, stream: true });
  await eventually("the stream stands", () => client.isStreaming);
});

test("a process ends when its client is closed", async (t) => {
  const edge = await startEdge(t);
  const script = `
    import { createClient } from "@sortition/client";
    const client = await createClient({ edge: ${JSON.stringify(edge.url)}, sdkKey: ${JSON.stringify(edge.keys.client_key)} });
    while (!client.isStreaming) await new Promise((resolve) => setTimeout(resolve, 20));
    await client.close();
    console.log("closed");`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], {
    cwd: `${ROOT}/sdk/js`,
    timeout: 60_000,
  });
  assert.equal(stdout.trim(), "closed");
});

test("events are read out of text that comes in pieces of any size", () => {
  const text = [
    ':\n\nretry: 2381\n\nevent: config\nid: 1.a\ndata: {"generation":1}\n\n',
    "event: config\r\nid:1.b\r\ndata: two\r\ndata:  lines\r\n\r\n",
    "data: last\rid: 2.c\r\r",
    "event: nothing\nid: 3.d\n\nid: \0\nretry: soon\nunknown: x\ndata\n\n",
  ].join("");
  const expected = [
    { name: "config", data: '{"generation":1}' },
    { name: "config", data: "two\n lines" },
    { name: "message", data: "last" },
    { name: "message", data: "" },
  ];
  for (let size = 1; size <= text.length; size++) {
    const reader = new EventReader("");
    const events = [];
    for (let at = 0; at < text.length; at += size) events.push(...reader.push(text.slice(at, at + size)));
    assert.deepEqual(events, expected, `pieces of ${size}`);
    assert.deepEqual([reader.lastEventId, reader.retryMs], ["3.d", 2381]);
  }
  const endless = new EventReader("");
  assert.throws(() => endless.push("x".repeat(70_000)), /no end/);
});
