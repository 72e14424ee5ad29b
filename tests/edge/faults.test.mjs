// Fail-open, proven: every fault of `faults/table.mjs` comes over the Worker in workerd and over the native edge, and goes again. Whatever
// happens, requests are answered, from the last good config, else from the bundled one, else with the defaults.

import assert from "node:assert/strict";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { eventually, post, readyz, scratch, serve } from "./harness.mjs";
import { askAll, metric, readiness, variantsOf } from "./faults/asking.mjs";
import { SHELLS } from "./faults/shells.mjs";
import { FAULTS, STRANGER } from "./faults/table.mjs";
import { makeWorld, signingKey } from "./faults/world.mjs";

const KEY = signingKey(0x42);
// The criterion is 10 s; a machine under load gets more. How long it took is reported.
const PATIENCE_MS = 45_000;

// Runs what `t.after` would run, for a suite.
function keeper() {
  const cleanups = [];
  return {
    after: (cleanup) => cleanups.push(cleanup),
    clean: async () => {
      for (const cleanup of cleanups.reverse()) await cleanup();
    },
  };
}

const isNormal = (ready, generation) =>
  ready.status === "ready" && ready.config === "current" && ready.environment.last_error === null && ready.generation === generation && ready.exposures.collector_failures === 0;

const say = (t, edge, what, began) => t.diagnostic(`${edge.name}: ${what} after ${Math.round(performance.now() - began)} ms`);

describe("faults of a running edge", () => {
  const kept = keeper();
  let world;
  let edges;
  before(async () => {
    world = await makeWorld(kept, KEY);
    world.publish();
    world.publish();
    edges = await Promise.all(Object.values(SHELLS).map((start) => start(kept, world)));
    for (const edge of edges) await eventually(`${edge.name} is ready`, async () => (await askAll(edge, world.fixture)).generation === world.generation);
  });
  after(() => kept.clean());

  for (const fault of FAULTS) {
    test(fault.name, async (t) => {
      const good = await Promise.all(edges.map((edge) => askAll(edge, world.fixture)));
      assert.deepEqual(good[0], good[1], "both shells answer alike");
      const logsBefore = edges.map((edge) => edge.logs().length);
      const n_events = world.events.length;
      await fault.begin(world, edges);
      const began = performance.now();
      await Promise.all(
        edges.map(async (edge, at) => {
          const stays = async () => {
            const answers = await askAll(edge, world.fixture);
            if (fault.isNewGeneration) assert.deepEqual(variantsOf(answers), variantsOf(good[at]));
            else assert.deepEqual({ ...answers, standing: "" }, { ...good[at], standing: "" }, `${edge.name}: the values are those of before`);
            return answers;
          };
          if (fault.logsExposures) {
            const unit = `${fault.name} ${edge.name}`;
            const visit = await post(`${edge.url}/v1/evaluate`, world.fixture.client_key, { units: { anonymous_id: unit }, keys: ["visitors"] });
            assert.equal((await visit.json()).decisions.visitors.enrolled, true);
          }
          await eventually(
            `${edge.name}: /readyz shows it`,
            async () => {
              const { standing } = await stays();
              const ready = await readiness(edge, world.fixture);
              return fault.seen(ready) && standing === fault.standing && ready.config === fault.standing;
            },
            PATIENCE_MS,
          );
          say(t, edge, "seen", began);
          await stays();
          const [name, holds] = fault.metric;
          if (edge.metrics) await eventually(`${edge.name}: ${name} shows it`, async () => holds((await metric(edge, name)) ?? NaN), PATIENCE_MS);
          if (fault.log) await eventually(`${edge.name}: the logs tell of it`, () => fault.log.test(edge.logs().slice(logsBefore[at])), PATIENCE_MS);
        }),
      );
      await fault.end(world, edges);
      const ended = performance.now();
      await Promise.all(
        edges.map(async (edge, at) => {
          const again = await eventually(
            `${edge.name}: service is normal again`,
            async () => {
              const answers = await askAll(edge, world.fixture);
              return isNormal(await readiness(edge, world.fixture), world.generation) && answers.standing === "current" && answers;
            },
            PATIENCE_MS,
          );
          if (fault.logsExposures) {
            const arrived = () => world.events.slice(n_events).some((event) => event.units?.anonymous_id === `${fault.name} ${edge.name}`);
            await eventually(`${edge.name}: the exposure has arrived`, async () => arrived() || ((await fetch(`${edge.url}/healthz`)).ok && false), PATIENCE_MS);
          }
          say(t, edge, "normal again", ended);
          assert.deepEqual(variantsOf(again), variantsOf(good[at]));
        }),
      );
    });
  }

  test("a handler that fails is answered with the defaults, and the next request as ever", async () => {
    for (const edge of edges) {
      const good = await askAll(edge, world.fixture);
      const { panics } = await readyz(edge.url);
      const { client_key } = world.fixture;
      for (let n = 0; n < 3; n++) {
        const evaluated = await post(`${edge.url}/v1/evaluate?trap=1`, client_key, { unit_id: "u-1" });
        assert.deepEqual([evaluated.status, evaluated.headers.get("x-sortition-config")], [200, "none"], edge.name);
        assert.deepEqual(await evaluated.json(), { generation: null, decisions: {} });
        const flag = await (await post(`${edge.url}/ofrep/v1/evaluate/flags/a%20b?trap=1`, client_key, {})).json();
        assert.deepEqual(flag, { key: "a b", reason: "UNKNOWN", variant: "", metadata: { reason: "internal_error", enrolled: false } });
        const flags = await (await post(`${edge.url}/ofrep/v1/evaluate/flags?trap=1`, client_key, {})).json();
        assert.deepEqual(flags, { flags: [], metadata: { reason: "internal_error" } });
      }
      assert.deepEqual(await askAll(edge, world.fixture), good);
      assert.equal((await readyz(edge.url)).panics, panics + 9, edge.name);
      await eventually("the logs tell of it", () => /panicked; going on|worker instance replaced/.test(edge.logs()));
      if (edge.metrics) await eventually("edge_panics_total shows it", async () => (await metric(edge, "edge_panics_total")) === panics + 9);
    }
  });

  test("a handler that fails while the store is down costs nobody the last good config", async () => {
    world.store.next = () => "reset";
    for (const edge of edges) {
      const good = await askAll(edge, world.fixture);
      await (await post(`${edge.url}/v1/evaluate?trap=1`, world.fixture.client_key, { unit_id: "u-1" })).text();
      const answers = await askAll(edge, world.fixture);
      assert.deepEqual({ ...answers, standing: "" }, { ...good, standing: "" }, edge.name);
    }
    delete world.store.next;
    for (const edge of edges) {
      await eventually(`${edge.name}: normal again`, async () => (await askAll(edge, world.fixture)).standing === "current", PATIENCE_MS);
    }
  });

  test("absurd attributes count as missing, and absurd times of clients' events are the collector's to judge", async () => {
    const nested = (depth, open, close) => open.repeat(depth) + "1" + close.repeat(depth);
    const absurd = [
      JSON.stringify("x".repeat(60_000)),
      nested(60, "[", "]"),
      nested(60, '{"a":', "}"),
      "1e308",
      "-0.0",
      "123456789012345678901234567890",
      '"\\u0000\\ud83d\\ude00"',
      JSON.stringify(Array.from({ length: 3000 }, (_, n) => n)),
      JSON.stringify({ value: { value: null } }),
      "null",
      "[]",
    ];
    const { client_key } = world.fixture;
    for (const edge of edges) {
      const ask = async (attributes) => {
        const body = `{"units":{"user_id":"u-1"},"keys":["checkout","killed"],"exposure":"none","attributes":{"returning":true,"country":${attributes}}}`;
        const answer = await post(`${edge.url}/v1/evaluate`, client_key, body);
        assert.equal(answer.status, 200, `${edge.name}: ${attributes.slice(0, 60)}`);
        return (await answer.json()).decisions;
      };
      const missing = await ask("null");
      for (const value of absurd) assert.deepEqual(await ask(value), missing, `${edge.name}: ${value.slice(0, 60)}`);
      const context = `{"context":{"targetingKey":"u-1","returning":${absurd[1]},"country":${absurd[0]}}}`;
      assert.equal((await post(`${edge.url}/ofrep/v1/evaluate/flags`, client_key, context)).status, 200, edge.name);
      const n_events = world.events.length;
      const timestamps = ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "yesterday"];
      const lines = timestamps.map((timestamp, n) => JSON.stringify({ event_id: `${edge.name}-${n}`, type: "metric", timestamp })).join("\n");
      const posted = await post(`${edge.url}/v1/events/batch`, client_key, lines, { "content-type": "application/x-ndjson" });
      assert.equal(posted.status, 202, edge.name);
      assert.deepEqual(world.events.slice(n_events).map((event) => event.timestamp), timestamps);
    }
  });
});

for (const [name, start] of Object.entries(SHELLS)) {
  test(`${name}: store down at the start: the bundled config answers, else the defaults, and then the store's`, async (t) => {
    const world = await makeWorld(t, KEY);
    world.publish();
    const bundled = world.copy();
    world.publish();
    world.store.next = () => "hang";
    const [edge, bare, distrustful] = await Promise.all([
      start(t, world, { bundled }),
      start(t, world),
      start(t, world, { bundled, keys: STRANGER.publicKey }),
    ]);
    for (const one of [bare, distrustful]) {
      const answers = await askAll(one, world.fixture);
      assert.deepEqual([answers.standing, answers.generation, answers.flags], ["none", null, []], name);
      const { visitors } = answers.decisions[0];
      assert.deepEqual([visitors.variant, visitors.reason], [null, "not_found"]);
      assert.equal((await readyz(one.url)).status, "no_config");
    }
    assert.match(distrustful.logs(), /the copy of a config is refused/);
    const answers = await askAll(edge, world.fixture);
    assert.deepEqual([answers.standing, answers.generation], ["bundled", 1]);
    const ready = await readiness(edge, world.fixture);
    assert.deepEqual([ready.status, ready.config, ready.environment.key_id], ["ready", "bundled", KEY.id]);
    assert.match(ready.environment.last_error, /reading configs/);
    assert.match(edge.logs(), /a copy is served/);
    if (edge.metrics) {
      const standing = `edge_config_standing{environment="${world.fixture.environment}",standing="bundled"}`;
      await eventually("the metrics show it", async () => (await metric(edge, standing)) === 1);
    }
    delete world.store.next;
    const began = performance.now();
    for (const one of [edge, bare]) {
      const again = await eventually(
        "the store's config answers",
        async () => {
          const found = await askAll(one, world.fixture);
          return found.generation === 2 && found.standing === "current" && found;
        },
        PATIENCE_MS,
      );
      assert.deepEqual(variantsOf(again), variantsOf(answers));
    }
    say(t, edge, "normal again", began);
    await eventually("the edge that trusts another publisher says why not", async () => {
      await askAll(distrustful, world.fixture);
      return /which this edge does not have/.test((await readiness(distrustful, world.fixture)).environment.last_error);
    });
  });

  test(`${name}: nothing can be loaded: every well-formed request gets its defaults, also when more environments are asked for than are remembered`, async (t) => {
    const world = await makeWorld(t, KEY);
    world.publish();
    // Slow, so that loads of many environments are under way at once and push each other out.
    world.store.next = async () => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      return [500, "down"];
    };
    const edge = await start(t, world);
    const ofrep = `${edge.url}/ofrep/v1/evaluate/flags`;
    const ask = async (environment, n) => {
      const key = `sk_client_${environment}_secret`;
      const [path, body] = [
        ["/v1/evaluate", { units: { user_id: "u-1" }, keys: ["checkout"] }],
        ["/ofrep/v1/evaluate/flags/checkout", { context: { targetingKey: "u-1" } }],
        ["/ofrep/v1/evaluate/flags", { context: { targetingKey: "u-1" } }],
      ][n % 3];
      const answer = await post(edge.url + path, key, body);
      const what = `${name}: ${path} of ${environment}`;
      assert.equal(answer.headers.get("x-sortition-config"), "none", what);
      const json = await answer.json();
      if (n % 3 === 0) assert.deepEqual([answer.status, json.generation, json.decisions.checkout.reason], [200, null, "not_found"], what);
      if (n % 3 === 1) assert.deepEqual([answer.status, json.key, json.errorCode, typeof json.errorDetails], [404, "checkout", "FLAG_NOT_FOUND", "string"], what);
      if (n % 3 === 2) {
        assert.deepEqual([answer.status, json.flags], [200, []], what);
        assert.match(answer.headers.get("etag"), /^"[^"]+"$/, what);
        assert.match(json.eventStreams[0].endpoint.requestUri, /since=0\./, what);
      }
    };
    for (let n = 0; n < 3; n++) await ask(world.fixture.environment, n);
    await Promise.all(Array.from({ length: 300 }, (_, n) => ask(`many-${n}`, n)));
    const { client_key } = world.fixture;
    for (const path of ["", "/checkout"]) {
      const malformed = await post(ofrep + path, client_key, "{");
      assert.deepEqual([malformed.status, (await malformed.json()).errorCode], [400, "PARSE_ERROR"]);
      assert.equal((await fetch(ofrep + path, { method: "POST", body: "{}" })).status, 401, "no key at all");
    }
    const ready = await readyz(edge.url);
    assert.deepEqual([ready.status, ready.panics], ["no_config", 0], "and no instance was given up for it");
    delete world.store.next;
    const began = performance.now();
    await eventually("the store's config answers", async () => (await askAll(edge, world.fixture)).standing === "current", PATIENCE_MS);
    say(t, edge, "normal again", began);
  });

  test(`${name}: a config that is refused again and again takes no memory, and neither do the answers meanwhile`, async (t) => {
    const world = await makeWorld(t, KEY);
    world.publish();
    const edge = await start(t, world, { SORTITION_REFRESH_INTERVAL_MS: "1" });
    const good = await askAll(edge, world.fixture);
    world.publish();
    world.spoil.blob = (bytes) => Buffer.concat([bytes.subarray(0, -1), Buffer.from([bytes.at(-1) ^ 1])]);
    const refusals = async () => (await readiness(edge, world.fixture)).environment.loads_refused;
    const untilRefused = async (n) => {
      for (const end = Date.now() + PATIENCE_MS; (await refusals()) < n; ) {
        assert.deepEqual((await askAll(edge, world.fixture)).decisions, good.decisions);
        assert.ok(Date.now() < end, `waited in vain for ${n} refusals`);
      }
    };
    await untilRefused(30);
    const before = await edge.memoryBytes();
    await untilRefused(130);
    const grown = (await edge.memoryBytes()) - before;
    t.diagnostic(`${await refusals()} refusals; memory grew by ${grown} bytes from ${before}`);
    // Wasm's memory grows by pages of 64 KiB; a process's by what its allocator keeps.
    assert.ok(grown <= (name === "worker" ? 256 * 1024 : 16 * 1024 * 1024), `memory grew by ${grown} bytes`);
  });

  test(`${name}: keys rotate: edges with both go on, one with the old key alone keeps what it has and says so`, async (t) => {
    const [old, next] = [signingKey(1), signingKey(2)];
    const world = await makeWorld(t, old);
    world.publish();
    const both = `${old.publicKey}, ${next.publicKey}`;
    const [prepared, late, careless] = await Promise.all([
      start(t, world, { keys: both }),
      start(t, world, { keys: old.publicKey }),
      start(t, world, { keys: "not a key" }).catch((error) => error),
    ]);
    for (const edge of [prepared, late]) assert.equal((await askAll(edge, world.fixture)).generation, 1);
    // A setting that cannot be read must not mean that every config is taken: the process does not start, the Worker takes none.
    if (careless instanceof Error) assert.match(careless.message, /64 hexadecimal digits/);
    else assert.equal((await askAll(careless, world.fixture)).standing, "none");
    assert.deepEqual((await readyz(prepared.url)).public_keys, [old.id, next.id]);
    world.key = next;
    world.publish();
    await eventually("the edge with both keys has the new generation", async () => (await askAll(prepared, world.fixture)).generation === 2);
    assert.equal((await readiness(prepared, world.fixture)).environment.key_id, next.id);
    const kept = await eventually("the other one says why not", async () => {
      const answers = await askAll(late, world.fixture);
      return answers.standing === "last-good" && answers;
    });
    assert.equal(kept.generation, 1);
    assert.match((await readiness(late, world.fixture)).environment.last_error, new RegExp(`key "${next.id}", which this edge does not have`));
    world.publish();
    await eventually("and the one after", async () => (await askAll(prepared, world.fixture)).generation === 3);
  });
}

// The Worker's part of this is in routing.test.mjs.
test("native: a panic in routing passes the request on to the host's own origin", async (t) => {
  const world = await makeWorld(t, KEY);
  world.publish();
  const origin = await serve(t, ({ url }) => [200, url]);
  const edge = await SHELLS.native(t, world, { SORTITION_HOSTS: `*=${world.fixture.environment}@${origin}` });
  for (const path of ["/page?a=1", "/page?trap=1", "/page?a=2"]) {
    const answer = await fetch(edge.url + path);
    assert.deepEqual([answer.status, await answer.text()], [200, path]);
  }
  assert.equal((await readyz(edge.url)).panics, 1);
});

test("native: a start without a store serves the copy of what was served last, unless it is damaged", async (t) => {
  const world = await makeWorld(t, KEY);
  world.publish();
  const bundled = world.copy();
  world.publish();
  const cache = scratch(t);
  const first = await SHELLS.native(t, world, { cache });
  const good = await askAll(first, world.fixture);
  const file = await eventually("a copy is kept", () => readdirSync(cache).find((name) => name.endsWith(".config")));
  await first.stop();
  world.store.next = () => "reset";
  writeFileSync(join(cache, "unfinished.0.new"), "half");
  const second = await SHELLS.native(t, world, { cache, bundled });
  assert.deepEqual(await askAll(second, world.fixture), { ...good, standing: "copy" });
  assert.deepEqual(readdirSync(cache), [file], "what was unfinished is gone");
  await second.stop();
  const bytes = readFileSync(join(cache, file));
  bytes[bytes.length - 20] ^= 4;
  writeFileSync(join(cache, file), bytes);
  const third = await SHELLS.native(t, world, { cache, bundled });
  const answers = await askAll(third, world.fixture);
  assert.deepEqual([answers.standing, answers.generation], ["bundled", 1]);
  assert.match(third.logs(), /the copy of a config is refused/);
  delete world.store.next;
  await eventually("the store's config answers", async () => (await askAll(third, world.fixture)).generation === 2, PATIENCE_MS);
  await eventually("and is kept", () => readFileSync(join(cache, file)).includes('"generation":2'));
});
