// Load on `sortition edge`: requests per second, and for each second of its processor time, which is what a core would answer if nothing
// else ran on it. Called by scripts/bench-edge.

import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT, freePort, load, median, pinned, ready, writeRequest } from "./measure.mjs";

const [program, seconds, rounds] = [process.argv[2], ...process.argv.slice(3).map(Number)];
const FIXTURE = join(ROOT, "target/debug/examples/edge-fixture");
const scratch = mkdtempSync(join(tmpdir(), "bench-edge-"));
const children = [];

async function start(name, publish, variables = {}) {
  const store = join(scratch, name);
  const { environment, client_key, list_secret } = JSON.parse(execFileSync(FIXTURE, [publish[0], store, ...publish.slice(1)], { encoding: "utf8" }));
  const port = await freePort();
  const [command, ...args] = pinned(0, [program, "edge"]);
  const child = spawn(command, args, {
    stdio: ["ignore", "ignore", "inherit"],
    env: {
      PATH: process.env.PATH,
      SORTITION_EDGE_LISTEN: `127.0.0.1:${port}`,
      SORTITION_METRICS_LISTEN: "127.0.0.1:0",
      SORTITION_STORE: `file://${store}`,
      SORTITION_ENVIRONMENT: environment,
      SORTITION_LOG: "warn",
      ...(variables.withTokens ? { SORTITION_LIST_SECRET: list_secret } : {}),
    },
  });
  children.push(child);
  await ready(`http://127.0.0.1:${port}/readyz`);
  return { child, port, client_key };
}

try {
  const small = await start("small", ["publish", "1"]);
  const many = await start("many", ["publish-many", "1", "50", "300"]);
  const withTokens = await start("tokens", ["publish-many", "1", "50", "300"], { withTokens: true });
  const context = { targetingKey: "u-{n}", country: "US", returning: true, platform: "web", plan: "pro" };
  const ofrep = ({ client_key }, name, path) =>
    writeRequest(
      join(scratch, `${name}.http`),
      "POST",
      path,
      { authorization: `Bearer ${client_key}`, "content-type": "application/json; charset=utf-8" },
      JSON.stringify({ context }),
    );
  const single = "/ofrep/v1/evaluate/flags/checkout";
  const bulk = "/ofrep/v1/evaluate/flags";
  const cases = [
    ["GET /healthz, for comparison", small, writeRequest(join(scratch, "healthz.http"), "GET", "/healthz")],
    ["one flag of a small config", small, ofrep(small, "single", single)],
    ["350 flags in bulk", many, ofrep(many, "bulk", bulk)],
    ["350 flags in bulk, exposure tokens", withTokens, ofrep(withTokens, "tokens", bulk)],
  ];
  for (const [name, { child, port }, file] of cases) {
    const rates = [];
    const ratesPerCpu = [];
    let last;
    for (let round = 0; round <= rounds; round++) {
      last = await load(child, port, file, { seconds: round === 0 ? 1 : seconds });
      if (round === 0) continue; // warms up
      rates.push(last.rate);
      ratesPerCpu.push(last.requests / last.cpu);
    }
    const paced = await load(child, port, file, { seconds, rate: median(rates) / 2 });
    console.log(
      `${name.padEnd(36)} ${median(rates).toFixed(0).padStart(6)} requests/s, ${median(ratesPerCpu).toFixed(0).padStart(6)} for each CPU second; ` +
        `${(last.bytes / last.requests).toFixed(0)} bytes each; at half of that rate p50 ${paced.p50_ms} ms, p99 ${paced.p99_ms} ms`,
    );
  }
} finally {
  for (const child of children) child.kill("SIGTERM");
  rmSync(scratch, { recursive: true, force: true });
}
