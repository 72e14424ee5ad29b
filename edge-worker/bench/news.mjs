// How soon a published config is seen: by clients that read a stream of the native edge, and by clients that ask the Worker in workerd.
// With the settings that both have by default; the time begins when the pointer to the new blob is written.
//
//   node edge-worker/bench/news.mjs [publications, default 40] [streams, default 100]

import { spawn } from "node:child_process";
import { cpSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { openStream } from "../../tests/edge/event-stream.mjs";
import { FIXTURE, eventually, post, publish, scratch, serveStore, startWorker } from "../../tests/edge/harness.mjs";

const [count = 40, n_streams = 100] = process.argv.slice(2).map(Number);
const ends = [];
const t = { after: (end) => ends.unshift(end) };
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Two stores that are published to at once: one of each edge under test.
const staging = scratch(t);
const fixture = publish(staging, 1);
const folder = join("configs", fixture.environment);
const stores = { streaming: scratch(t), polling: scratch(t) };
for (const store of Object.values(stores)) cpSync(staging, store, { recursive: true });

// Makes a generation visible in a store; answers when.
function release(store, generation) {
  cpSync(join(staging, folder), join(store, folder), { recursive: true, filter: (path) => !path.endsWith("latest.json") });
  const fresh = join(store, folder, "latest.json.new");
  writeFileSync(fresh, readFileSync(join(staging, folder, "latest.json")));
  const at = performance.now();
  renameSync(fresh, join(store, folder, "latest.json"));
  return { generation, at };
}

async function startNative() {
  const child = spawn(FIXTURE, ["serve-faulty"], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, SORTITION_CONFIG_URL: await serveStore(t, stores.streaming), SORTITION_REFRESH_INTERVAL_MS: "5000" },
  });
  t.after(() => child.kill("SIGTERM"));
  for await (const line of createInterface(child.stdout)) return JSON.parse(line).url;
  throw new Error("the native edge did not start");
}

function report(name, milliseconds) {
  const sorted = [...milliseconds].sort((a, b) => a - b);
  const quantile = (q) => sorted[Math.min(Math.floor(sorted.length * q), sorted.length - 1)].toFixed(0);
  console.log(`${name}: ${sorted.length} observations, p50 ${quantile(0.5)} ms, p99 ${quantile(0.99)} ms, at most ${quantile(1)} ms`);
}

try {
  const native = await startNative();
  const worker = await startWorker(t, {
    SORTITION_ENVIRONMENT: fixture.environment,
    SORTITION_CONFIG_URL: await serveStore(t, stores.polling),
    SORTITION_REFRESH_INTERVAL_MS: "5000",
  });
  const streams = await Promise.all(
    Array.from({ length: n_streams }, () => openStream(t, `${native}/v1/stream?key=${fixture.client_key}`)),
  );
  await eventually("the streams stand", () => streams.every((stream) => stream.events("config").length === 1));

  // Traffic on the Worker: a request every 50 ms.
  const seen = new Map();
  let isOver = false;
  const asking = (async () => {
    while (!isOver) {
      const { generation } = await (await post(`${worker.url}/v1/evaluate`, fixture.client_key, { unit_id: "u-1", keys: [], exposure: "none" })).json();
      if (!seen.has(generation)) seen.set(generation, performance.now());
      await sleep(50);
    }
  })();
  await eventually("the Worker answers", () => seen.has(1));

  const waited = { streaming: [], polling: [] };
  for (let generation = 2; generation <= count + 1; generation++) {
    publish(staging, generation);
    // At no fixed distance from the looks at the store.
    await sleep(Math.random() * 1000);
    const released = { streaming: release(stores.streaming, generation), polling: release(stores.polling, generation) };
    const events = () => streams.map((stream) => stream.events("message").find(({ json }) => json.etag.startsWith(`${generation}.`)));
    await eventually("every stream says so", () => events().every(Boolean));
    for (const event of events()) waited.streaming.push(event.at - released.streaming.at);
    await eventually("the Worker answers by it", () => seen.has(generation));
    waited.polling.push(seen.get(generation) - released.polling.at);
  }
  isOver = true;
  await asking;
  report(`news at ${n_streams} streams of the native edge`, waited.streaming);
  report("news at a client that asks the Worker every 50 ms", waited.polling);
} finally {
  for (const end of ends) await end();
}
