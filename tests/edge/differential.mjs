// The Wasm build of the service against the native one: the same requests, byte for byte the same answers.
//
//   node tests/edge/differential.mjs <number of requests> [seed] [target/debug or target/release]
//
// What is compared is what crosses out of Wasm: status, headers, body, whether background work waits, what is to be loaded or forwarded,
// and which exposures are posted. The Wasm is the built Worker's own, with its own glue, in V8; in place of its I/O (shim/io.js) it reads
// the objects that the native build read. The two HTTP layers are compared by tests/edge/*.test.mjs, which ask both edges over HTTP.

import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const LOAD = 1;
const FRESHEN = 3;
const MAX_WAITS = 4;

// What the Worker's glue finds in place of shim/io.js.
const IO = `
export const state = { reads: new Map(), posts: [], pass: () => {} };
export const readObject = async (_env, _base, key) => (state.reads.has(key) ? state.reads.get(key) : "was not read by the native build: " + key);
export const postEvents = async (_url, headers, body) => {
  const key = /authorization: Bearer (.*)/.exec(headers)[1];
  state.posts.push(Buffer.concat([Buffer.from(key + "\\n"), body]));
  return [202, "application/json", null, Buffer.from('{"rejected":0}')];
};
export const putMessage = async () => "there is no queue";
export const wait = async (ms) => state.pass(ms);
`;

// The time that both builds see.
let now = 0;
const FixedDate = class extends Date {
  constructor(...given) {
    super(...(given.length === 0 ? [now] : given));
  }
  static now() {
    return now;
  }
};

const LIST_SECRET = "11".repeat(32);

// The Worker's Wasm with its glue, and the stand-in for its I/O.
export async function loadWasm(build = join(ROOT, "build")) {
  const folder = mkdtempSync(join(tmpdir(), "edge-wasm-"));
  try {
    writeFileSync(join(folder, "package.json"), '{"type":"module"}');
    writeFileSync(join(folder, "io.js"), IO);
    cpSync(build, folder, { recursive: true, filter: (path) => path === build || !path.endsWith("io.js") });
    const glue = await import(join(folder, "edge_worker.js"));
    const { state } = await import(join(folder, "io.js"));
    const exports = glue.initSync({ module: new WebAssembly.Module(readFileSync(join(build, "edge_worker_bg.wasm"))) });
    return { glue, state, memory: exports.memory };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

// Reads what edge-differential writes (see edge-worker/examples/edge-differential/main.rs).
async function* records(stream) {
  let buffer = Buffer.alloc(0);
  const chunks = stream[Symbol.asyncIterator]();
  const fill = async (n) => {
    while (buffer.length < n) {
      const { value, done } = await chunks.next();
      if (done) throw new Error("the native build ended early");
      buffer = Buffer.concat([buffer, value]);
    }
  };
  let at = 0;
  const take = async (n) => {
    if (buffer.length < at + n) {
      buffer = buffer.subarray(at);
      at = 0;
      await fill(n);
    }
    at += n;
    return buffer.subarray(at - n, at);
  };
  const number = async () => (await take(4)).readUInt32LE();
  const bytes = async () => Buffer.from(await take(await number()));
  for (;;) {
    const fixed = Buffer.from(await take(10));
    const record = { kind: fixed[0], now: fixed.readDoubleLE(1), isTooLarge: fixed[9] === 1 };
    record.head = (await bytes()).toString();
    record.body = await bytes();
    record.reads = new Map();
    for (let n = await number(); n > 0; n--) {
      const key = (await bytes()).toString();
      const isPresent = (await take(1))[0] === 1;
      const object = await bytes();
      record.reads.set(key, isPresent ? new Uint8Array(object) : undefined);
    }
    record.expected = [];
    for (let n = await number(); n > 0; n--) record.expected.push(await bytes());
    yield record;
    if (record.kind === 9) return;
  }
}

const text = (bytes) => Buffer.from(bytes).toString("latin1");

// Compares `count` requests of a seed; answers what was seen of them, or throws at the first difference.
export async function compare(count, seed, profile = "target/debug") {
  const { glue, state } = await loadWasm();
  glue.start(
    {
      SORTITION_ENVIRONMENT: "production-k3v9x2mq",
      SORTITION_LIST_SECRET: LIST_SECRET,
      SORTITION_COLLECTOR_URL: "http://collector",
      SORTITION_CONFIG_URL: "http://store",
      SORTITION_STREAM_REFRESH_INTERVAL_MS: "1000",
      SORTITION_MAX_STREAMS: "1000",
    },
    new Uint8Array(32).fill(7),
    0,
  );
  const env = {};
  const RealDate = globalThis.Date;
  globalThis.Date = FixedDate;
  // What the Worker logs of the faults that the requests bring about is expected.
  const logged = { error: console.error, warn: console.warn };
  console.error = console.warn = () => {};
  const native = spawn(join(ROOT, profile, "examples/edge-differential"), [String(seed), String(count)], { stdio: ["ignore", "pipe", "inherit"] });
  const seen = { requests: 0, bytes: 0, loads: 0, freshened: 0, posts: 0, statuses: {} };
  try {
    for await (const record of records(native.stdout)) {
      now = record.now;
      state.reads = record.reads;
      let given = [];
      if (record.kind === 0) {
        let patience = 2;
        for (let n_waits = 0; n_waits <= MAX_WAITS; n_waits++) {
          if (n_waits === MAX_WAITS) patience = 0;
          given = [glue.answer(record.head, record.body, record.isTooLarge, patience, now)];
          const [kind] = given[0];
          if ((kind !== LOAD && kind !== FRESHEN) || n_waits === MAX_WAITS) break;
          const wanted = Buffer.from(given[0].subarray(8)).toString();
          if (kind === LOAD) {
            seen.loads += 1;
            await glue.load(env, wanted);
          } else {
            seen.freshened += 1;
            // The clock goes on only while news is waited for.
            state.pass = (ms) => void (now += ms);
            await glue.freshen(env, wanted);
            state.pass = () => {};
            now = record.now;
            patience = 1;
          }
        }
        seen.requests += 1;
        seen.bytes += given[0].length;
        const status = given[0][0] === 0 ? given[0][2] | (given[0][3] << 8) : `frame ${given[0][0]}`;
        seen.statuses[status] = (seen.statuses[status] ?? 0) + 1;
      } else if (record.kind === 1) {
        await glue.background(env);
        given = state.posts.splice(0);
        seen.posts += given.length;
      }
      const isSame = given.length === record.expected.length && given.every((bytes, n) => Buffer.compare(bytes, record.expected[n]) === 0);
      if (!isSame) {
        const { head, body, expected } = record;
        const where = `seed ${seed}, request ${seen.requests}, at ${new Date(now).toISOString()}`;
        throw new Error(
          `the builds differ: ${where}\n${JSON.stringify(head)}\n${text(body).slice(0, 2000)}\nnative: ${expected.map(text).join("\n").slice(0, 4000)}\nWasm:   ${given
            .map(text)
            .join("\n")
            .slice(0, 4000)}`,
        );
      }
    }
  } finally {
    globalThis.Date = RealDate;
    Object.assign(console, logged);
    native.kill();
  }
  return seen;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [count = "1000000", seed = String(Math.floor(performance.timeOrigin) % 2 ** 32), profile] = process.argv.slice(2);
  console.log(`seed ${seed}`);
  const began = performance.now();
  const seen = await compare(Number(count), seed, profile);
  console.log(`${JSON.stringify(seen)}\nno difference in ${((performance.now() - began) / 1000).toFixed(1)} s`);
}
