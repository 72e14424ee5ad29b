// The Worker as wrangler runs it: the configuration at the root of the repository, the variables of a local platform, a clean end.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { ROOT, eventually, post, publish, readyz, scratch, serveStore } from "./harness.mjs";

const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

test("wrangler dev serves the Worker offline and ends when asked to", async (t) => {
  const store = scratch(t);
  const { environment, client_key } = publish(store, 7);
  const [port, configs, state] = [await freePort(), await serveStore(t, store), scratch(t)];
  const wrangler = join(ROOT, "edge-worker/node_modules/wrangler/bin/wrangler.js");
  const options = ["dev", "--config", join(ROOT, "wrangler.toml"), "--local", "--ip", "127.0.0.1", "--port", port, "--inspector-port", "0"];
  const variables = { SORTITION_CONFIG_URL: configs, SORTITION_ENVIRONMENT: environment };
  const child = spawn(
    process.execPath,
    [wrangler, ...options, "--persist-to", state, ...Object.entries(variables).flatMap(([name, value]) => ["--var", `${name}:${value}`])],
    {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
      env: {
        ...process.env,
        SORTITION_WORKER_PREBUILT: "1",
        CI: "1",
        CLOUDFLARE_CF_FETCH_ENABLED: "false",
        WRANGLER_HIDE_BANNER: "true",
        WRANGLER_LOG_PATH: state,
        WRANGLER_SEND_ERROR_REPORTS: "false",
        WRANGLER_SEND_METRICS: "false",
      },
    },
  );
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
  const ended = new Promise((resolve) => child.on("exit", resolve));
  t.after(() => {
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // It has ended, as it should.
    }
  });
  const url = `http://127.0.0.1:${port}`;
  const alive = () => fetch(`${url}/healthz`).then((answer) => answer.ok, () => false);
  await eventually("the Worker answers", alive, 60_000).catch((error) => assert.fail(`${error.message}\n${output}`));
  const answer = await post(`${url}/v1/evaluate`, client_key, { unit_id: "u-1", keys: ["killed"] });
  assert.equal((await answer.json()).generation, 7);
  assert.equal((await readyz(url)).status, "ready");
  process.kill(-child.pid, "SIGTERM");
  await ended;
  await eventually("the port is free again", async () => !(await alive()));
});
