// The JavaScript server provider, unmodified, in Node.js.

import assert from "node:assert/strict";
import { test } from "node:test";
import { OFREPProvider } from "@openfeature/ofrep-provider";
import { OpenFeature } from "@openfeature/server-sdk";
import { startEdge } from "./edge.mjs";

test("the server provider reads every type, reason and error", async (t) => {
  const { client_key, proxy } = await startEdge(t);
  const connect = async (domain, key) => {
    const headers = [["Authorization", `Bearer ${key}`]];
    await OpenFeature.setProviderAndWait(domain, new OFREPProvider({ baseUrl: proxy.url, headers }));
    return OpenFeature.getClient(domain);
  };
  t.after(() => OpenFeature.close());
  const client = await connect("good", client_key);
  const context = { targetingKey: "u-override", anonymous_id: "a-1", country: "US", nested: { deep: [1, { a: null }] }, when: new Date(0) };

  const ratio = await client.getNumberDetails("ratio", 7, context);
  assert.deepEqual([ratio.value, ratio.variant, ratio.reason], [1, "whole", "STATIC"]);
  const checkout = await client.getObjectDetails("checkout", {}, context);
  assert.deepEqual([checkout.value, checkout.variant], [{ checkout_version: "v3", published: 1 }, "treatment_b"]);
  assert.deepEqual([checkout.flagMetadata.reason, checkout.flagMetadata.enrolled, checkout.flagMetadata.generation], ["override", false, 1]);
  const visitors = await client.getStringDetails("visitors", "x", context);
  assert.deepEqual([visitors.reason, visitors.flagMetadata.enrolled, visitors.flagMetadata.experiment], ["SPLIT", true, "visitors"]);
  const killed = await client.getBooleanDetails("killed", true, context);
  assert.deepEqual([killed.value, killed.reason], [false, "DISABLED"]);
  assert.equal((await client.getBooleanDetails("new_nav", true)).errorCode, undefined, "without a context");

  const error = async (client, key, context) => {
    const details = await client.getStringDetails(key, "mine", context);
    return [details.value, details.errorCode];
  };
  assert.deepEqual(await error(client, "missing", context), ["mine", "FLAG_NOT_FOUND"]);
  assert.deepEqual(await error(client, "ratio", context), ["mine", "TYPE_MISMATCH"]);
  assert.deepEqual(await error(client, "visitors", { targetingKey: "x".repeat(300) }), ["mine", "INVALID_CONTEXT"]);
  assert.deepEqual(await error(client, "a/b c", context), ["mine", "FLAG_NOT_FOUND"], "it does not encode keys");
  assert.deepEqual(await error(await connect("bad", "nonsense"), "ratio", context), ["mine", "GENERAL"]);
  proxy.assertConformant(200, 400, 401, 404);
});
