// The entry point that worker-build would make, without its handling of panics.
import wasm from "./hello_world_bg.wasm";
import { fetch as hello, initSync } from "./hello_world.js";

initSync({ module: wasm });

export default { fetch: (request, env, ctx) => hello(request, env, ctx) };
