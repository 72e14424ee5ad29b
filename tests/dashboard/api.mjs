/** What tests need to have in the platform before they look at a page. Talks to the public API only. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { ADMIN_TOKEN, BASE_URL } from "./browser.mjs";

/** A name that no other test uses. */
export const unique = (name) => `${name}_${randomBytes(4).toString("hex")}`;

/** Sends one request and answers its status, its JSON and its ETag. */
export async function call(method, path, body, headers = {}) {
  const response = await fetch(`${BASE_URL}/api/v1${path}`, {
    method,
    headers: {
      authorization: `Bearer ${ADMIN_TOKEN}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...headers,
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  return {
    status: response.status,
    body: text === "" ? null : JSON.parse(text),
    etag: response.headers.get("etag"),
  };
}

async function create(path, body) {
  const answer = await call("POST", path, body);
  assert.equal(answer.status, 201, `${path}: ${JSON.stringify(answer.body)}`);
  return answer.body;
}

/** A proportion, a mean and a quantile that no other test uses. */
export async function createMetrics() {
  const conversion = unique("conversion");
  const revenue = unique("revenue");
  const latency = unique("latency");
  await create("/metrics", {
    name: conversion,
    kind: "proportion",
    event: "purchase",
    direction: "increase",
  });
  await create("/metrics", { name: revenue, kind: "mean", event: "purchase" });
  await create("/metrics", {
    name: latency,
    kind: "quantile",
    quantile: 0.99,
    event: "page_load",
    direction: "decrease",
  });
  return { conversion, revenue, latency };
}

export const createLayer = (name) => create("/layers", { name, description: "Pages of the checkout" });

export const createSegment = (key) =>
  create("/segments", {
    key,
    condition: { attribute: "returning", op: "eq", values: [true] },
    include: [],
    exclude: [],
  });

export const createFlag = (key) =>
  create("/flags", {
    key,
    type: "boolean",
    variants: [
      { name: "on", value: true },
      { name: "off", value: false },
    ],
    default_variant: "off",
    off_variant: "off",
    enabled: true,
    rules: [{ rollout: 25, serve: { variant: "on" } }],
  });

/** A draft with three variants. */
export const createExperiment = (name, metrics, more = {}) =>
  create("/experiments", {
    name,
    hypothesis: "A single page reduces cart abandonment by 5%",
    variants: [
      { name: "control", weight: 50, config: { checkout_version: "v1" } },
      { name: "treatment_a", weight: 25, config: { checkout_version: "v2_single_page" } },
      { name: "treatment_b", weight: 25, config: { checkout_version: "v2_accordion" } },
    ],
    primary_metric: metrics.conversion,
    guardrail_metrics: [
      metrics.latency,
      { metric: metrics.revenue, max_degradation: 0.05, margin_type: "relative" },
    ],
    min_detectable_effect: 0.02,
    significance_level: 0.05,
    power: 0.8,
    estimated_duration_days: 14,
    ...more,
  });

/** Starts an experiment, accepting whatever warnings it has. */
export async function start(id) {
  const first = await call("POST", `/experiments/${id}/start`);
  if (first.status === 200) return;
  const acknowledge = (first.body.warnings ?? []).map(({ code }) => code);
  const second = await call("POST", `/experiments/${id}/start`, { acknowledge });
  assert.equal(second.status, 200, JSON.stringify(second.body));
}

/** Id of the environment in which the tests work. */
export async function environmentId() {
  const { body } = await call("GET", "/environments");
  const environment = body.data.find(({ name }) => name === "production");
  assert.ok(environment, "there is an environment `production`");
  return environment.id;
}
