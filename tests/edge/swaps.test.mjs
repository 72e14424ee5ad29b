// Memory of the Worker's Wasm over swaps of its config; scripts/test-slow does ten thousand of ten thousand experiments.

import assert from "node:assert/strict";
import { test } from "node:test";
import { swaps } from "./swaps.mjs";

test("memory does not grow with the number of swaps", async () => {
  const { pages } = await swaps(200, 1000);
  assert.ok(pages.late <= pages.early, JSON.stringify(pages));
});
