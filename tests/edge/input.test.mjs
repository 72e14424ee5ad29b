// Bad input at every endpoint: 4xx in the endpoint's own form, never 5xx, and the Worker goes on.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { post, publish, scratch, serveStore, startCollector, startWorker } from "./harness.mjs";

async function start(t) {
  const store = scratch(t);
  const fixture = publish(store, 1);
  const collector = await startCollector(t);
  const worker = await startWorker(t, {
    SORTITION_ENVIRONMENT: fixture.environment,
    SORTITION_CONFIG_URL: await serveStore(t, store),
    SORTITION_COLLECTOR_URL: collector.url,
  });
  return { ...fixture, url: worker.url };
}

const deep = `${"[".repeat(300_000)}1${"]".repeat(300_000)}`;

test("bad bodies are 400 and name the field", async (t) => {
  const { url, client_key } = await start(t);
  const cases = [
    ["/v1/evaluate", "", ""],
    ["/v1/evaluate", "{", ""],
    ["/v1/evaluate", deep, ""],
    ["/v1/evaluate", new Uint8Array([0xff, 0xfe, 0x00]), ""],
    ["/v1/evaluate", `{"units":{"user_id":${deep}}}`, "/units/user_id"],
    ["/v1/evaluate", `{"units":{"user_id":"${"x".repeat(100_000)}"}}`, "/units/user_id"],
    ["/v1/evaluate", `{"units":{},"keys":${deep}}`, "/keys/0"],
    ["/v1/evaluate", "{}", "/units"],
    ["/v1/events/batch", "", ""],
    ["/v1/exposures", `{"tokens":["x"]}`, "/tokens"],
  ];
  for (const [path, body, pointer] of cases) {
    const answer = await post(url + path, client_key, body);
    assert.equal(answer.status, 400, `${path} ${String(body).slice(0, 40)}`);
    assert.equal(answer.headers.get("content-type"), "application/problem+json");
    assert.equal((await answer.json()).errors[0].pointer, pointer);
  }
  const ofrep = [
    ["", "PARSE_ERROR"],
    ["{", "PARSE_ERROR"],
    [deep, "PARSE_ERROR"],
    [`{"context":[]}`, "INVALID_CONTEXT"],
    [`{"context":{"targetingKey":{}}}`, "INVALID_CONTEXT"],
    [`{"context":{"targetingKey":"${"x".repeat(257)}"}}`, "INVALID_CONTEXT"],
  ];
  for (const path of ["/ofrep/v1/evaluate/flags", "/ofrep/v1/evaluate/flags/checkout"]) {
    for (const [body, code] of ofrep) {
      const answer = await post(url + path, client_key, body);
      assert.equal(answer.status, 400);
      const { errorCode, errorDetails } = await answer.json();
      assert.equal(errorCode, code, `${path} ${body.slice(0, 40)}`);
      assert.equal(typeof errorDetails, "string");
    }
  }
  const absurd = await post(`${url}/v1/evaluate`, client_key, `{"units":{"user_id":"u"},"attributes":{"a":${deep},"b":1e999}}`);
  assert.equal(absurd.status, 200, "absurd attributes count as missing");
});

test("wrong keys, paths and methods are refused", async (t) => {
  const { url, client_key } = await start(t);
  const paths = ["/v1/evaluate", "/v1/events/batch", "/v1/exposures", "/v1/metrics", "/ofrep/v1/evaluate/flags", "/ofrep/v1/evaluate/flags/a"];
  for (const path of paths) {
    for (const key of [`${client_key}x`, "nonsense", "sk_client_nowhere-aaaaaaaa_x"]) {
      const answer = await post(url + path, key, "{}");
      assert.equal(answer.status, 401, `${path} ${key}`);
      await answer.text();
    }
    assert.equal((await fetch(url + path, { method: "POST", body: "{}" })).status, 401, path);
    assert.equal((await fetch(url + path)).status, 405, path);
  }
  assert.equal((await fetch(`${url}/v1/config-bundle`)).status, 401);
  assert.equal((await fetch(`${url}/nowhere`)).status, 404);
  assert.equal((await fetch(`${url}/readyz?environment=..%2Fx`)).status, 400);
  const unknown = await post(`${url}/ofrep/v1/evaluate/flags/${"x".repeat(5000)}`, client_key, "{}");
  assert.equal(unknown.status, 404);
});

test("bodies over the limit are refused, with and without a length", async (t) => {
  const { url, client_key } = await start(t);
  const spaces = (n) => new Uint8Array(n).fill(32);
  const large = await post(`${url}/v1/evaluate`, client_key, spaces(1024 * 1024 + 1));
  assert.equal(large.status, 413);
  assert.equal((await large.json()).code, "body_too_large");
  const ofrep = await post(`${url}/ofrep/v1/evaluate/flags`, client_key, spaces(1024 * 1024 + 1));
  assert.equal(ofrep.status, 400);
  const events = await post(`${url}/v1/events/batch`, client_key, spaces(5 * 1024 * 1024 + 1));
  assert.equal(events.status, 413);
  await events.text();
  // Without a length: chunked, more than the limit.
  const stream = new ReadableStream({
    start(controller) {
      for (let i = 0; i < 6; i++) controller.enqueue(spaces(1024 * 1024));
      controller.close();
    },
  });
  const chunked = await fetch(`${url}/v1/events/batch`, {
    method: "POST",
    body: stream,
    duplex: "half",
    headers: { authorization: `Bearer ${client_key}` },
  });
  assert.equal(chunked.status, 413);
  assert.equal((await fetch(`${url}/healthz`)).status, 200, "the Worker goes on");
});

test("a browser's preflight is answered, and a client that hangs up does no harm", async (t) => {
  const { url, client_key } = await start(t);
  const preflight = await fetch(`${url}/ofrep/v1/evaluate/flags`, {
    method: "OPTIONS",
    headers: { origin: "https://shop.example", "access-control-request-method": "POST" },
  });
  assert.equal(preflight.status, 204);
  assert.match(preflight.headers.get("access-control-allow-headers"), /if-none-match/);
  const { port } = new URL(url);
  for (let i = 0; i < 20; i++) {
    await new Promise((resolve) => {
      const socket = connect(Number(port), "127.0.0.1", () => {
        socket.write(`POST /v1/evaluate HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${client_key}\r\ncontent-length: 1000\r\n\r\n{"units`);
        socket.destroy();
        resolve();
      });
      socket.on("error", resolve);
    });
  }
  const bulk = await post(`${url}/ofrep/v1/evaluate/flags`, client_key, { context: { targetingKey: "u-1" } }, { origin: "https://shop.example" });
  assert.equal(bulk.headers.get("access-control-expose-headers"), "ETag, Retry-After");
  const tag = bulk.headers.get("etag");
  const again = await post(`${url}/ofrep/v1/evaluate/flags`, client_key, { context: { targetingKey: "u-1", page: "/x" } }, { "if-none-match": tag });
  assert.equal(again.status, 304);
});
