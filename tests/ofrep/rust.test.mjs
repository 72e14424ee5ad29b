// The Rust provider, unmodified, against both edges. It keeps neither reason nor metadata (every answer is "STATIC"), so these are only
// checked by the schema here.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { startEdge } from "./edge.mjs";

const CLIENT = process.env.SORTITION_OFREP_RUST;

for (const kind of ["worker", "native"]) {
  test(`the Rust provider reads every type and error (${kind})`, { skip: !CLIENT && "scripts/test-ofrep --rust builds the client" }, async (t) => {
    const { client_key, proxy } = await startEdge(t, kind);
    const ask = async (key) => {
      const { stdout } = await promisify(execFile)(CLIENT, [proxy.url, key], { timeout: 60_000 });
      const lines = stdout.trim().split("\n").map((line) => JSON.parse(line));
      return Object.fromEntries(lines.map(({ what, ...details }) => [what, details]));
    };
    const answers = await ask(client_key);
    const brief = ({ value, variant, error }) => [value, variant, error];
    assert.deepEqual(brief(answers.float), [1, "whole", null]);
    assert.deepEqual(brief(answers.object), [{ checkout_version: "v3", published: 1 }, "treatment_b", null]);
    assert.equal(typeof answers.string.value, "string");
    assert.equal(answers.string.error, null);
    assert.deepEqual(brief(answers.boolean), [false, "off", null]);
    assert.equal(answers["without a context"].error, null);
    // What it makes of an absent value and of another type than it was asked for.
    assert.equal(answers["without a value"].error, "PARSE_ERROR");
    assert.equal(answers["an integer"].error, "PARSE_ERROR", "a float is no integer to it");
    assert.equal(answers.missing.error, "FLAG_NOT_FOUND");
    assert.equal(answers["a long key"].error, "INVALID_CONTEXT");
    assert.equal(answers["a key to be encoded"].error, "FLAG_NOT_FOUND");
    const refused = await ask("nonsense");
    assert.equal(Object.keys(refused).length, 10);
    assert.ok(Object.values(refused).every(({ error }) => error.includes("auth")), JSON.stringify(refused));
    const exposed = proxy.seen.find(({ path, status }) => path.endsWith("/visitors") && status === 200);
    const { reason, metadata } = JSON.parse(exposed.body);
    assert.deepEqual([reason, metadata.experiment], ["SPLIT", "visitors"]);
    proxy.assertConformant(200, 400, 401, 404);
  });
}
