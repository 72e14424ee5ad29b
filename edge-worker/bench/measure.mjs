// What the edge's load benchmarks share: processes on cores of their own, the load generator, processor time.

import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const LOAD = join(ROOT, "target/edge-load/release/edge-load");

// A command on one core. With SORTITION_BENCH_FIRST=1 (root only) it comes before all other work of the machine, so that a machine that
// has some can be measured on.
export function pinned(core, command) {
  const first = process.env.SORTITION_BENCH_FIRST === "1" ? ["chrt", "--rr", "1"] : [];
  return [...(cpus().length > 1 ? ["taskset", "-c", String(core)] : []), ...first, ...command];
}

// Processor time that a process has used, in seconds; Linux counts in hundredths.
export function cpuSeconds({ pid }) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

export const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

// Waits until a URL is answered 200.
export async function ready(url) {
  for (const end = Date.now() + 60_000; Date.now() < end; ) {
    const status = await fetch(url).then((response) => response.text().then(() => response.status), () => 0);
    if (status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${url} is not answered`);
}

// Writes a request of the load generator; each `{n}` in the body stands for a number of eight digits.
export function writeRequest(file, method, path, headers = {}, body = "") {
  const length = Buffer.byteLength(body.replaceAll("{n}", "00000000"));
  const lines = Object.entries({ host: "127.0.0.1", ...headers, "content-length": length }).map(([name, value]) => `${name}: ${value}\r\n`);
  writeFileSync(file, `${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n${body}`);
  return file;
}

// Sends a request over kept connections from the second core, at a rate or (rate 0) as fast as the server answers. Answers what the
// generator saw, and the processor seconds that the server used.
export async function load(server, port, file, { connections = 16, seconds, rate = 0 }) {
  const before = cpuSeconds(server);
  const [command, ...args] = pinned(1, [LOAD, `127.0.0.1:${port}`, connections, seconds, rate, file].map(String));
  const output = await new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    child.stdout.on("data", (chunk) => (text += chunk));
    child.on("close", (code) => (code === 0 ? resolve(text) : reject(new Error(`the load generator ended with ${code}`))));
  });
  const seen = JSON.parse(output);
  if (seen.failed > 0) throw new Error(`${seen.failed} of ${seen.requests} answers were no success`);
  return { ...seen, cpu: cpuSeconds(server) - before };
}

export const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
