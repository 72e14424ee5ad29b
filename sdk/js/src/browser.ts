// The package in browsers, and in whatever fetches its files by URL.

import type { Client } from "./client.js";
import { create } from "./create.js";
import type { ClientOptions } from "./types.js";

export * from "./exports.js";

/** Makes a client, with its evaluator and its first config. */
export function createClient(options: ClientOptions): Promise<Client> {
  return create(options, load);
}

async function load(): Promise<WebAssembly.Module> {
  const response = await fetch(new URL("./sdk_wasm_bg.wasm", import.meta.url));
  if (!response.ok) throw new Error(`evaluator: ${response.url} was answered ${response.status}`);
  // Compiling while it arrives needs the right content type, which not every server sends.
  return response.headers.get("content-type")?.startsWith("application/wasm") === true
    ? WebAssembly.compileStreaming(response)
    : WebAssembly.compile(await response.arrayBuffer());
}
