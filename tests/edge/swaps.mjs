// What exchanging the config costs the Worker, and whether its memory stays as it is: the built Worker's Wasm with its own glue, in V8.
//
//   node tests/edge/swaps.mjs [swaps, default 10000] [experiments, default 10000] [target/debug or target/release]
//
// A swap is everything that the Worker does once the store's answers are there: reading the pointer, checksum, decoding, freeing the old config.

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadWasm } from "./differential.mjs";
import { ROOT } from "./harness.mjs";

const ENVIRONMENT = "production-k3v9x2mq";
const CLIENT_KEY = `sk_client_${ENVIRONMENT}_${"b".repeat(32)}`;
const HEADER_BYTES = 104;
// Swaps in which memory may still grow: a fiftieth of them, for the allocator's free pieces settle late (at 10 000 experiments after 130 swaps).
const warmUp = (count) => Math.max(20, count / 50);

// Two bodies by turns, and a header for each generation from 1 on (edge-worker/examples/edge-fixture/main.rs).
function generations(count, experiments, profile) {
  const fixture = join(ROOT, profile, "examples/edge-fixture");
  const { stdout, status } = spawnSync(fixture, ["generations", experiments, count].map(String), {
    maxBuffer: 2 ** 30,
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (status !== 0) throw new Error("the fixture did not write the generations");
  let at = 0;
  const bodies = [0, 1].map(() => {
    const start = at + 4;
    at = start + stdout.readUInt32LE(at);
    return stdout.subarray(start, at);
  });
  return (generation) => Buffer.concat([stdout.subarray(at + (generation - 1) * HEADER_BYTES).subarray(0, HEADER_BYTES), bodies[1 - (generation % 2)]]);
}

export async function swaps(count, experiments, profile = "target/debug") {
  const blob = generations(count, experiments, profile);
  const { glue, state, memory } = await loadWasm();
  glue.start({ SORTITION_ENVIRONMENT: ENVIRONMENT, SORTITION_CONFIG_URL: "http://store" }, new Uint8Array(32).fill(7), 0);
  const took = [];
  const pages = { early: 0, late: 0 };
  const head = ["POST", "/ofrep/v1/evaluate/flags", "", `Bearer ${CLIENT_KEY}`].join("\n");
  const body = Buffer.from('{"context":{"targetingKey":"u-1","country":"US"}}');
  for (let generation = 1; generation <= count; generation++) {
    const object = `configs/${ENVIRONMENT}/${generation}-0000000000000000.bin`;
    const pointer = Buffer.from(JSON.stringify({ generation, object }));
    state.reads = new Map([
      [`configs/${ENVIRONMENT}/latest.json`, new Uint8Array(pointer)],
      [object, new Uint8Array(blob(generation))],
    ]);
    const began = performance.now();
    await glue.load({}, ENVIRONMENT);
    took.push(performance.now() - began);
    if (glue.held() !== `${ENVIRONMENT} ${generation}\n`) throw new Error(`generation ${generation} was not taken: ${glue.held()}`);
    if (generation % 10 === 0) {
      const frame = glue.answer(head, body, false, false, Date.now());
      if (frame[0] !== 0 || (frame[2] | (frame[3] << 8)) !== 200) throw new Error(`generation ${generation} does not answer`);
    }
    const when = generation <= warmUp(count) ? "early" : "late";
    pages[when] = Math.max(pages[when], memory.buffer.byteLength / 65536);
  }
  took.sort((a, b) => a - b);
  const quantile = (q) => Number(took[Math.min(Math.floor(took.length * q), took.length - 1)].toFixed(2));
  return { count, experiments, median_ms: quantile(0.5), p99_ms: quantile(0.99), pages };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [count = "10000", experiments = "10000", profile] = process.argv.slice(2);
  const seen = await swaps(Number(count), Number(experiments), profile);
  console.log(JSON.stringify(seen));
  if (seen.pages.late > seen.pages.early) throw new Error("memory grew");
}
