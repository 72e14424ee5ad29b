// Load on our Worker in workerd and on the hello-world one, in turns: prints each round, the medians, and latencies at half of the rate at
// which each is saturated. Called by scripts/bench-worker. The rate for each second of workerd's processor time says more than the plain
// rate on a machine that has other work.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT, freePort, load, median, ready, writeRequest } from "./measure.mjs";
import { FLAG_BODY, FLAG_PATH, servedConfig, workerd } from "./workerd.mjs";

const [seconds, rounds] = process.argv.slice(2).map(Number);
const scratch = mkdtempSync(join(tmpdir(), "bench-worker-"));
const children = [];

function start(...worker) {
  const child = workerd(scratch, ...worker);
  children.push(child);
  return child;
}

try {
  const config = await servedConfig(scratch);
  const [ours, hello] = [await freePort(), await freePort()];
  const oursProcess = start("ours", join(ROOT, "build"), ours, config.variables);
  const helloProcess = start("hello", join(ROOT, "target/hello-world/worker"), hello, {});
  const headers = { authorization: `Bearer ${config.client_key}`, "content-type": "application/json; charset=utf-8" };
  const targets = {
    ours: { process: oursProcess, port: ours, file: writeRequest(join(scratch, "ofrep.http"), "POST", FLAG_PATH, headers, FLAG_BODY) },
    "hello world": { process: helloProcess, port: hello, file: writeRequest(join(scratch, "hello.http"), "GET", "/") },
  };
  for (const port of [ours, hello]) await ready(`http://127.0.0.1:${port}/healthz`);
  const answer = await fetch(`http://127.0.0.1:${ours}${FLAG_PATH}`, { method: "POST", body: FLAG_BODY.replace("{n}", "1"), headers });
  console.log(`one answer of ours: ${answer.status} ${await answer.text()}`);
  for (const target of Object.values(targets)) Object.assign(target, { rates: [], ratesPerCpu: [] });
  for (let round = 0; round <= rounds; round++) {
    for (const [name, { process, port, file, rates, ratesPerCpu }] of Object.entries(targets)) {
      const seen = await load(process, port, file, { seconds: round === 0 ? 2 : seconds });
      if (round === 0) continue; // warms up
      rates.push(seen.rate);
      ratesPerCpu.push(seen.requests / seen.cpu);
      const figures = `${seen.rate.toFixed(0).padStart(6)} requests/s, ${(seen.requests / seen.cpu).toFixed(0).padStart(6)} for each CPU second`;
      console.log(`round ${round}: ${name.padEnd(12)} ${figures}, p99 at saturation ${seen.p99_ms} ms`);
    }
  }
  for (const [what, of] of [["requests/s", "rates"], ["requests for each CPU second", "ratesPerCpu"]]) {
    const [a, b] = [median(targets.ours[of]), median(targets["hello world"][of])];
    console.log(`median ${what}: ours ${a.toFixed(0)}, hello world ${b.toFixed(0)}; ratio ${(a / b).toFixed(2)}`);
  }
  // Each request is timed from when it was due, and sent whether or not those before it were answered.
  for (const [name, { process, port, file, rates }] of Object.entries(targets)) {
    const rate = median(rates) / 2;
    const p99s = [];
    for (let round = 1; round <= rounds; round++) {
      const paced = await load(process, port, file, { seconds, rate });
      p99s.push(paced.p99_ms);
      console.log(`round ${round}: ${name.padEnd(12)} at ${rate.toFixed(0)} requests/s p50 ${paced.p50_ms} ms, p99 ${paced.p99_ms} ms`);
    }
    console.log(`at half of saturation: ${name} p99 ${median(p99s)} ms (median), ${Math.min(...p99s)} ms (least)`);
  }
  config.close();
} finally {
  for (const child of children) child.kill("SIGTERM");
  rmSync(scratch, { recursive: true, force: true });
}
