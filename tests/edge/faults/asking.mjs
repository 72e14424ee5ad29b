// What clients ask under every fault, and what must never happen to them.

import assert from "node:assert/strict";
import { post, readyz } from "../harness.mjs";

const UNITS = Array.from({ length: 12 }, (_, n) => `u-${n}`);
const KEYS = ["checkout", "visitors", "new_nav", "killed", "ratio", "by_experiment"];
const ATTRIBUTES = { country: "US", returning: true, platform: "ios" };

// The answers to the requests that every shell must go on answering: evaluations for some units, and OFREP single and bulk.
export async function askAll({ url }, { client_key }) {
  const decide = (unit) =>
    post(`${url}/v1/evaluate`, client_key, { units: { user_id: unit, anonymous_id: unit }, keys: KEYS, attributes: ATTRIBUTES, exposure: "none" });
  const context = { targetingKey: "u-1", ...ATTRIBUTES };
  const answers = await Promise.all([
    ...UNITS.map(decide),
    post(`${url}/ofrep/v1/evaluate/flags/ratio`, client_key, { context }),
    post(`${url}/ofrep/v1/evaluate/flags`, client_key, { context }),
  ]);
  for (const answer of answers) assert.ok(answer.status < 500, `${answer.url} answered ${answer.status}`);
  const bodies = await Promise.all(answers.map((answer) => answer.json()));
  const [single, bulk] = bodies.splice(-2);
  return {
    standing: answers[0].headers.get("x-sortition-config") ?? "current",
    statuses: answers.map(({ status }) => status),
    generation: bodies[0].generation,
    decisions: bodies.map(({ decisions }) => decisions),
    single,
    flags: bulk.flags.filter(({ key }) => KEYS.includes(key)).map(withoutToken),
  };
}

// Tokens of deferred exposures hold the time.
const withoutToken = ({ metadata: { exposure_token, ...metadata }, ...flag }) => ({ ...flag, metadata });

// Who gets which variant: what stays the same from one generation to the next, too.
export const variantsOf = ({ decisions }) =>
  decisions.map((ofUnit) => Object.entries(ofUnit).map(([key, { variant, enrolled, reason }]) => `${key}: ${variant} ${enrolled} ${reason}`));

export async function readiness(edge, { environment }) {
  const ready = await readyz(edge.url);
  return { ...ready, environment: ready.environments.find((one) => one.environment === environment) ?? {} };
}

// The value of a metric of this environment; undefined where there is none yet.
export async function metric(edge, name) {
  const line = (await edge.metrics()).split("\n").find((line) => line.startsWith(name));
  return line && Number(line.slice(line.lastIndexOf(" ") + 1));
}
