// Runs wrk against our Worker and the hello-world one, in turns, and prints each round and the medians. Called by scripts/bench-worker.
// The rate for each second of workerd's processor time says more than the plain rate on a machine that has other work.

import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { cpus, tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const WORKERD = join(ROOT, "edge-worker/node_modules/@cloudflare/workerd-linux-64/bin/workerd");
const [seconds, rounds] = process.argv.slice(2).map(Number);
const scratch = mkdtempSync(join(tmpdir(), "bench-worker-"));
const children = [];
const pinned = (core, command) => (cpus().length > 1 ? ["taskset", "-c", String(core), ...command] : command);

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

// Processor time that a process has used, in seconds; Linux counts in hundredths.
function cpuSeconds({ pid }) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

const get = (url) => fetch(url).then((response) => response.text(), () => undefined);

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
  const body = '{"context":{"targetingKey":"u-1","country":"US","returning":true,"platform":"web"}}';
  const lua = join(scratch, "ofrep.lua");
  writeFileSync(
    lua,
    `wrk.method = "POST"\nwrk.body = '${body}'\nwrk.headers["Content-Type"] = "application/json; charset=utf-8"\nwrk.headers["Authorization"] = "Bearer ${client_key}"\n`,
  );
  const targets = {
    ours: [`http://127.0.0.1:${ours}/ofrep/v1/evaluate/flags/checkout`, "-s", lua],
    "hello world": [`http://127.0.0.1:${hello}/`],
  };
  for (const port of [ours, hello]) {
    while ((await get(`http://127.0.0.1:${port}/healthz`)) === undefined) await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const answer = await fetch(targets.ours[0], { method: "POST", body, headers: { authorization: `Bearer ${client_key}` } });
  console.log(`one answer of ours: ${answer.status} ${await answer.text()}`);
  const processes = { ours: oursProcess, "hello world": helloProcess };
  const rates = { ours: [], "hello world": [] };
  const ratesPerCpu = { ours: [], "hello world": [] };
  for (let round = 0; round <= rounds; round++) {
    for (const [name, target] of Object.entries(targets)) {
      const duration = round === 0 ? 2 : seconds;
      const cpuBefore = cpuSeconds(processes[name]);
      const [command, ...args] = pinned(1, ["wrk", "-t1", "-c16", `-d${duration}s`, "--latency", ...target]);
      const output = await new Promise((resolve, reject) => {
        const wrk = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
        let text = "";
        wrk.stdout.on("data", (chunk) => (text += chunk));
        wrk.on("close", (code) => (code === 0 ? resolve(text) : reject(new Error(`${command} ended with ${code}`))));
      });
      if (/Non-2xx/.test(output)) throw new Error(output);
      if (round === 0) continue; // warms up
      const rate = Number(/Requests\/sec:\s+([\d.]+)/.exec(output)[1]);
      const p99 = /^\s+99%\s+(\S+)/m.exec(output)[1];
      const perCpu = Number(/(\d+) requests in/.exec(output)[1]) / (cpuSeconds(processes[name]) - cpuBefore);
      rates[name].push(rate);
      ratesPerCpu[name].push(perCpu);
      const figures = `${rate.toFixed(0).padStart(6)} requests/s, ${perCpu.toFixed(0).padStart(6)} for each CPU second`;
      console.log(`round ${round}: ${name.padEnd(12)} ${figures}, p99 at saturation ${p99}`);
    }
  }
  const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
  for (const [what, of] of [["requests/s", rates], ["requests for each CPU second", ratesPerCpu]]) {
    const [a, b] = [median(of.ours), median(of["hello world"])];
    console.log(`median ${what}: ours ${a.toFixed(0)}, hello world ${b.toFixed(0)}; ratio ${(a / b).toFixed(2)}`);
  }
  objects.closeAllConnections();
  objects.close();
} finally {
  for (const child of children) child.kill("SIGTERM");
  rmSync(scratch, { recursive: true, force: true });
}
