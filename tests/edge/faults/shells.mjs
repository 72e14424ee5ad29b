// The two shells under test, driven alike over HTTP: the Worker in workerd, and the native edge as a process. Each can be given a wrong clock, and
// a request that makes its handler fail.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { FIXTURE, scratch, startWorker } from "../harness.mjs";

const settingsOf = (world, keys) => ({
  SORTITION_ENVIRONMENT: world.fixture.environment,
  SORTITION_CONFIG_URL: world.storeUrl,
  SORTITION_COLLECTOR_URL: world.collectorUrl,
  SORTITION_LIST_SECRET: world.fixture.list_secret,
  SORTITION_PUBLIC_KEYS: keys,
});

async function worker(t, world, { keys = world.key.publicKey, bundled, ...settings } = {}) {
  let logs = "";
  let n_patched = 0;
  const replace = (text, found, replacement) =>
    text.replace(found, () => {
      n_patched++;
      return replacement;
    });
  const { url } = await startWorker(t, {
    ...settingsOf(world, keys),
    ...settings,
    bundled,
    onLog: (text) => (logs += text),
    patch: (path, text) => {
      // A pointer beyond the memory: reading the request then really traps.
      if (path === "edge_worker.js") return replace(text, /wasm\.answer\(ptr0, /, `wasm.answer(head.includes("trap=1") ? 0xfffffff0 : ptr0, `);
      if (path !== "index.js") return text;
      text = replace(text, "initSync({ module: wasm });", "const { memory } = initSync({ module: wasm });");
      const skewed = `const rightNow = Date.now; let skew = 0; Date.now = () => rightNow() + skew;\n${text}`;
      return replace(
        skewed,
        "const head = readHead(request);",
        `const set = /[?&]skew=(-?\\d+)/.exec(request.url); if (set) skew = Number(set[1]);\nif (request.url.endsWith("?memory")) return new Response(String(memory.buffer.byteLength));\nconst head = readHead(request);`,
      );
    },
  });
  if (n_patched !== 3) throw new Error(`${n_patched} of 3 places of the Worker were patched`);
  const memoryBytes = async () => Number(await (await fetch(`${url}/healthz?memory`)).text()); // of Wasm
  return { name: "Worker", url, memoryBytes, logs: () => logs, skew: async (ms) => (await fetch(`${url}/healthz?skew=${ms}`)).text() };
}

let clock;
function wrongClock() {
  if (clock === undefined) {
    clock = join("/tmp", `wrong-clock-${process.pid}.so`);
    execFileSync("cc", ["-shared", "-fPIC", "-O1", "-o", clock, fileURLToPath(new URL("clock.c", import.meta.url)), "-ldl"]);
    process.on("exit", () => rmSync(clock, { force: true }));
  }
  return clock;
}

async function native(t, world, { keys = world.key.publicKey, bundled, cache = "", ...settings } = {}) {
  const folder = scratch(t);
  const [skewFile, bundle] = [join(folder, "skew"), join(folder, "bundled")];
  if (bundled) writeFileSync(bundle, bundled);
  let logs = "";
  const child = spawn(FIXTURE, ["serve-faulty"], {
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...process.env,
      ...settingsOf(world, keys),
      ...settings,
      SORTITION_CONFIG_CACHE: cache,
      SORTITION_BUNDLED_CONFIG: bundled ? bundle : "",
      LD_PRELOAD: wrongClock(),
      CLOCK_SKEW_FILE: skewFile,
    },
  });
  child.stderr.setEncoding("utf8").on("data", (text) => (logs += text));
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  };
  t.after(stop);
  const [line] = await Promise.race([
    once(createInterface(child.stdout), "line"),
    once(child, "exit").then(() => Promise.reject(new Error(`the native edge did not start: ${logs}`))),
  ]);
  const { url, metrics } = JSON.parse(line);
  return {
    name: "native",
    url,
    stop,
    logs: () => logs,
    memoryBytes: async () => 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))[1]),
    metrics: async () => (await fetch(metrics)).text(),
    skew: async (ms) => writeFileSync(skewFile, String(ms)),
  };
}

export const SHELLS = { worker, native };
