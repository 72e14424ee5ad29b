// What is served when the store gives nothing: the config that an earlier Wasm instance of this isolate held, else the one that was bundled
// when the Worker was deployed. Wasm checks both as it checks what comes from the store (edge-worker/src/copies.rs).

import { adopt, copy, held, load } from "./edge_worker.js";

// Copies of what is held, by environment: they outlive the instance.
const copies = new Map();

// Loads an environment that no load was tried of yet.
export async function loadOrFallBack(env, environment, bundled) {
  if (!(await load(env, environment))) {
    const kept = copies.get(environment)?.file;
    if (kept !== undefined) await adopt(environment, kept, false);
    if (bundled.byteLength > 0) await adopt(environment, new Uint8Array(bundled), true);
  }
  keepCopies();
}

// Copies what is held and not yet copied. Few environments change, and rarely.
export function keepCopies() {
  for (const line of held().split("\n").slice(0, -1)) {
    const [environment, generation] = line.split(" ");
    if (copies.get(environment)?.generation === generation) continue;
    const file = copy(environment);
    if (file.length > 0) copies.set(environment, { generation, file });
  }
}
