// Processor time of workerd from its start to the Worker's first answer, with a config to load, beside the same of a Worker that is one line of
// JavaScript: the difference is what starting ours costs. The hello-world Worker stands beside it. Called by scripts/bench-worker.

import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT, freePort, median } from "./measure.mjs";
import { FLAG_BODY, FLAG_PATH, servedConfig, workerd } from "./workerd.mjs";

const N_STARTS = 15;
const scratch = mkdtempSync(join(tmpdir(), "bench-start-"));
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Milliseconds of processor time of all of a process's threads, to the nanosecond.
function cpuMs({ pid }) {
  const threads = readdirSync(`/proc/${pid}/task`);
  const ns = threads.map((thread) => Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]));
  return ns.reduce((sum, own) => sum + own, 0) / 1e6;
}

async function start(name, folder, variables, options) {
  const port = await freePort();
  const child = workerd(scratch, name, folder, port, variables);
  try {
    for (;;) {
      const answer = await fetch(`http://127.0.0.1:${port}${FLAG_PATH}`, options).catch(() => undefined);
      if (answer?.status === 200) break;
      if (answer !== undefined) throw new Error(`${name} answered ${answer.status}: ${await answer.text()}`);
      await sleep(20);
    }
    return cpuMs(child);
  } finally {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    await ended;
  }
}

const config = await servedConfig(scratch);
try {
  const empty = join(scratch, "empty");
  mkdirSync(empty);
  writeFileSync(join(empty, "index.js"), 'export default { fetch: () => new Response("ok") };');
  const asked = { method: "POST", body: FLAG_BODY.replace("{n}", "1"), headers: { authorization: `Bearer ${config.client_key}` } };
  const workers = {
    ours: [join(ROOT, "build"), config.variables, asked],
    "hello world": [join(ROOT, "target/hello-world/worker"), {}, {}],
    empty: [empty, {}, {}],
  };
  const taken = { ours: [], "hello world": [], empty: [] };
  for (let n = 0; n <= N_STARTS; n++) {
    for (const [name, worker] of Object.entries(workers)) {
      const ms = await start(name.replace(" ", "-"), ...worker);
      if (n > 0) taken[name].push(ms); // the first one warms the disk's cache
    }
  }
  const of = (name, pick) => pick(taken[name]).toFixed(1);
  const least = (values) => Math.min(...values);
  for (const name of Object.keys(workers)) console.log(`start to first answer, ${name}: median ${of(name, median)} ms of CPU, least ${of(name, least)}`);
  for (const [what, pick] of [["median", median], ["least", least]]) {
    console.log(`${what} beyond an empty Worker: ours ${(pick(taken.ours) - pick(taken.empty)).toFixed(1)} ms, hello world ${(pick(taken["hello world"]) - pick(taken.empty)).toFixed(1)} ms`);
  }
} finally {
  config.close();
  rmSync(scratch, { recursive: true, force: true });
}
