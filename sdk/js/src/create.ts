import { Client } from "./client.js";
import type { ClientOptions } from "./types.js";

/** Makes a client whose evaluator is given, or else loaded by `load`. */
export async function create(
  options: ClientOptions,
  load: () => Promise<WebAssembly.Module>,
): Promise<Client> {
  const client = new Client(options);
  await client.load(compile(options.wasm, load));
  return client;
}

async function compile(
  wasm: ClientOptions["wasm"],
  load: () => Promise<WebAssembly.Module>,
): Promise<WebAssembly.Module> {
  if (wasm === undefined) return load();
  return wasm instanceof WebAssembly.Module ? wasm : WebAssembly.compile(wasm);
}
