// The package in Node.js, where its files are read from the disk.

import { readFile } from "node:fs/promises";
import type { Client } from "./client.js";
import { create } from "./create.js";
import type { ClientOptions } from "./types.js";

export * from "./exports.js";

/** Makes a client, with its evaluator and its first config. */
export function createClient(options: ClientOptions): Promise<Client> {
  return create(options, async () =>
    WebAssembly.compile(await readFile(new URL("./sdk_wasm_bg.wasm", import.meta.url))),
  );
}
