// The Python provider, unmodified.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { ROOT, startEdge } from "./edge.mjs";

const PYTHON = process.env.SORTITION_OFREP_PYTHON;

test("the Python provider reads every type, reason and error", { skip: !PYTHON && "scripts/test-ofrep makes the virtual environment" }, async (t) => {
  const { client_key, proxy } = await startEdge(t);
  const ask = async (key) => {
    const { stdout } = await promisify(execFile)(PYTHON, [join(ROOT, "tests/ofrep/client.py"), proxy.url, key], { timeout: 60_000 });
    const lines = stdout.trim().split("\n").map((line) => JSON.parse(line));
    return Object.fromEntries(lines.map(({ what, ...details }) => [what, details]));
  };
  const answers = await ask(client_key);
  const brief = ({ value, variant, reason, error }) => [value, variant, reason, error];
  assert.deepEqual(brief(answers.float), [1, "whole", "STATIC", null]);
  assert.deepEqual(brief(answers.object), [{ checkout_version: "v3", published: 1 }, "treatment_b", "TARGETING_MATCH", null]);
  assert.deepEqual(answers.object.metadata, { reason: "override", enrolled: false, generation: 1 });
  assert.deepEqual([answers.string.reason, answers.string.metadata.experiment], ["SPLIT", "visitors"]);
  assert.deepEqual(brief(answers.boolean), [false, "off", "DISABLED", null]);
  assert.equal(answers["without a context"].error, null);
  assert.deepEqual(brief(answers["without a value"]).slice(0, 1), ["mine"]);
  assert.deepEqual([answers["an integer"].value, answers["an integer"].error], [7, "TYPE_MISMATCH"]);
  assert.deepEqual([answers.missing.value, answers.missing.error], ["mine", "FLAG_NOT_FOUND"]);
  assert.deepEqual([answers["a long key"].value, answers["a long key"].error], ["mine", "INVALID_CONTEXT"]);
  const refused = await ask("nonsense");
  assert.ok(Object.values(refused).every(({ error }) => error === "GENERAL"), JSON.stringify(refused));
  proxy.assertConformant(200, 400, 401, 404);
});
