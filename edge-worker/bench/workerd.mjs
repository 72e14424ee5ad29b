// workerd with one Worker in it, and a config for ours.

import { execFileSync, spawn } from "node:child_process";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join, relative } from "node:path";
import { ROOT, pinned } from "./measure.mjs";

const WORKERD = join(ROOT, "edge-worker/node_modules/@cloudflare/workerd-linux-64/bin/workerd");

// Starts workerd with the Worker of a folder; `scratch` takes its configuration.
export function workerd(scratch, name, folder, port, variables) {
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
  return child;
}

// The config of the example edge-fixture, served over HTTP until `close`.
export async function servedConfig(scratch) {
  const store = join(scratch, "store");
  const fixture = join(ROOT, "target/debug/examples/edge-fixture");
  const { environment, client_key } = JSON.parse(execFileSync(fixture, ["publish", store, "1"], { encoding: "utf8" }));
  const server = createServer((request, response) => {
    try {
      response.end(readFileSync(join(store, request.url)));
    } catch {
      response.writeHead(404).end();
    }
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  const variables = { SORTITION_CONFIG_URL: `http://127.0.0.1:${server.address().port}`, SORTITION_ENVIRONMENT: environment };
  return { variables, client_key, close };
}

// What is asked of ours: one flag by OFREP.
export const FLAG_PATH = "/ofrep/v1/evaluate/flags/checkout";
export const FLAG_BODY = '{"context":{"targetingKey":"u-{n}","country":"US","returning":true,"platform":"web"}}';
