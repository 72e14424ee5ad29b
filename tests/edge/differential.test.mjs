// The Worker's Wasm answers as the native build does. A few thousand requests of a fresh seed; scripts/test-slow has a million.

import { test } from "node:test";
import { compare } from "./differential.mjs";

test("the Wasm build and the native build answer byte for byte the same", async (t) => {
  const seed = Date.now() % 2 ** 32;
  t.diagnostic(`seed ${seed}; again with: node tests/edge/differential.mjs 6000 ${seed}`);
  t.diagnostic(JSON.stringify(await compare(6000, seed)));
});
