// Load on our Worker in workerd and on the hello-world one, in turns: prints each round, the medians, and latencies at half of the rate at
// which each is saturated. Called by scripts/bench-worker. The rate for each second of workerd's processor time says more than the plain
// rate on a machine that has other work.

import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { ROOT, freePort, load, median, pinned, ready, writeRequest } from "./measure.mjs";

const WORKERD = join(ROOT, "edge-worker/node_modules/@cloudflare/workerd-linux-64/bin/workerd");
const [seconds, rounds] = process.argv.slice(2).map(Number);
const scratch = mkdtempSync(join(tmpdir(), "bench-worker-"));
const children = [];

function workerd(name, folder, port, variables) {
  const modules = readdirSync(folder, { recursive: true })
    .filter((path) => /\.(js|wasm|bin)$/.test(path))
    .sort((a, b) => (b === "index.js") - (a === "index.js"))
    .map((path) => `(name = "${path}", ${{ wasm: "wasm", bin: "data" }[path.split(".").at(-1)] ?? "esModule"} = embed "${join(relative(scratch, folder), path)}")`);
  const bindings = Object.entries(variables).map(([key, value]) => `(name = "${key}", text = "${value}")`);
  const config = join(scratch, `${name}.capnp`);
  writeFileSync(
    config,
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (modules = [${modules.join(", ")}], compatibilityDate = "2026-04-01", bindings = [${bindings.join(", ")}])),
    (name = "internet", network = (allow = ["public", "private"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
);`,
  );
  const [command, ...args] = pinned(0, [WORKERD, "serve", config]);
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "inherit"] });
  child.on("exit", (code) => code && process.exit(1));
  children.push(child);
  return child;
}

try {
  const store = join(scratch, "store");
  const fixture = join(ROOT, "target/debug/examples/edge-fixture");
  const { environment, client_key } = JSON.parse(execFileSync(fixture, ["publish", store, "1"], { encoding: "utf8" }));
  const objects = createServer((request, response) => {
    try {
      response.end(readFileSync(join(store, request.url)));
    } catch {
      response.writeHead(404).end();
    }
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => objects.once("listening", resolve));
  const [ours, hello] = [await freePort(), await freePort()];
  const oursProcess = workerd("ours", join(ROOT, "build"), ours, {
    SORTITION_CONFIG_URL: `http://127.0.0.1:${objects.address().port}`,
    SORTITION_ENVIRONMENT: environment,
  });
  const helloProcess = workerd("hello", join(ROOT, "target/hello-world/worker"), hello, {});
  const body = '{"context":{"targetingKey":"u-{n}","country":"US","returning":true,"platform":"web"}}';
  const headers = { authorization: `Bearer ${client_key}`, "content-type": "application/json; charset=utf-8" };
  const path = "/ofrep/v1/evaluate/flags/checkout";
  const targets = {
    ours: { process: oursProcess, port: ours, file: writeRequest(join(scratch, "ofrep.http"), "POST", path, headers, body) },
    "hello world": { process: helloProcess, port: hello, file: writeRequest(join(scratch, "hello.http"), "GET", "/") },
  };
  for (const port of [ours, hello]) await ready(`http://127.0.0.1:${port}/healthz`);
  const answer = await fetch(`http://127.0.0.1:${ours}${path}`, { method: "POST", body: body.replace("{n}", "1"), headers });
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
  objects.closeAllConnections();
  objects.close();
} finally {
  for (const child of children) child.kill("SIGTERM");
  rmSync(scratch, { recursive: true, force: true });
}
