import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { call, createLayer, createMetrics, createSegment, unique } from "./api.mjs";
import { assertAccessible, BASE_URL, named, openBrowser, signIn, textOf } from "./browser.mjs";

const name = unique("created");
const layer = unique("layer");
const segment = unique("segment");
let browser, page, metrics;

before(async () => {
  metrics = await createMetrics();
  await createLayer(layer);
  await createSegment(segment);
  ({ page } = browser = await openBrowser());
  await signIn(page);
  await page.click(named("new-experiment"));
  await page.waitForSelector(named("field-name"));
});
after(() => browser.close());

/** Chooses an entry of a list that opens on click. */
async function choose(field, option) {
  await page.fill(named(field), option);
  await page.click(`[role="option"]:visible:has-text("${option}")`);
}

/** The message that stands at a field. */
async function messageAt(field) {
  const id = await page.getAttribute(named(field), "aria-describedby");
  const error = id?.split(" ").find((part) => part.endsWith("-error"));
  assert.ok(error, `${field} has a message`);
  return textOf(page, `[id="${error}"]`);
}

/** Sends the form and waits for the server's answer. */
async function submit() {
  const answered = page.waitForResponse((response) => response.request().method() === "POST");
  await page.click(named("create"));
  return (await answered).status();
}

test("the empty form is accessible", async () => {
  await assertAccessible(page, "creation form");
});

test("what the server refuses is said at the field that is meant", async () => {
  await page.fill(named("field-name"), "Not A Name!");
  await page.fill(named("variant-1-name"), "control");
  await page.fill(named("variant-1-weight"), "40");
  await page.fill(named("field-alpha"), "0.9");
  await page.click(named("create"));
  await page.waitForSelector(named("form-errors"));
  assert.notEqual(await messageAt("field-name"), "");
  assert.notEqual(await messageAt("field-alpha"), "");
  assert.equal(await page.inputValue(named("field-alpha")), "0.9", "what was entered stays");
  await page.waitForFunction(
    (selector) => document.querySelector(selector) === document.activeElement,
    named("field-name"),
  );
  await assertAccessible(page, "creation form with messages");
});

test("messages about the variants stand at the variants", async () => {
  await page.fill(named("field-name"), name);
  await page.fill(named("field-alpha"), "0.05");
  assert.equal(await submit(), 422);
  await page.waitForSelector(`${named("field-name")}:not([aria-invalid="true"])`);
  const message = page.locator(`${named("error-variants")}, [data-testid^="variant-"][aria-invalid="true"]`);
  await message.first().waitFor();
  const atVariants = await page.locator(named("error-variants")).count();
  const atWeight = await page.locator(`${named("variant-1-weight")}[aria-invalid="true"]`).count();
  const atName = await page.locator(`${named("variant-1-name")}[aria-invalid="true"]`).count();
  assert.ok(
    atVariants + atWeight + atName > 0,
    "the doubled name and the missing tenth are shown at the variants",
  );
  const listed = await call("GET", `/experiments?q=${name}`);
  assert.deepEqual(listed.body.data, [], "nothing was created");
});

test("text that is no JSON never leaves the page", async () => {
  await page.fill(named("variant-1-config"), "{oops");
  await page.click(named("create"));
  assert.match(await messageAt("variant-1-config"), /not JSON|Unexpected|Expected/i);
});

test("a complete form creates a draft with everything that was entered", async () => {
  await page.fill(named("field-hypothesis"), "One page is enough");
  await page.fill(named("variant-0-config"), '{"checkout_version": "v1"}');
  await page.fill(named("variant-1-name"), "treatment");
  await page.fill(named("variant-1-config"), '{"checkout_version": "v2"}');
  await page.click(named("add-variant"));
  await page.fill(named("variant-2-name"), "treatment_b");
  await page.click(named("split-evenly"));
  await choose("field-layer", layer);
  await page.fill(named("field-traffic"), "50");
  await page.click(`${named("targeting-mode")} >> text=Builder`);
  for (const country of ["US", "CA"]) {
    await page.fill(named("field-countries"), country);
    await page.press(named("field-countries"), "Enter");
  }
  await choose("field-segment", segment);
  await choose("field-primary-metric", metrics.conversion);
  await choose("field-guardrails", metrics.revenue);
  await page.keyboard.press("Escape");
  await page.fill(named("guardrail-0-margin"), "5");
  await page.fill(named("field-mde"), "2");
  await page.click(named("create"));
  await page.waitForSelector(named("experiment-header"));
  assert.match(await textOf(page, named("experiment-header")), new RegExp(`${name}.*Draft`));

  const { body } = await call("GET", `/experiments/${new URL(page.url()).pathname.split("/")[2]}`);
  assert.equal(body.name, name);
  assert.equal(body.status, "draft");
  assert.equal(body.hypothesis, "One page is enough");
  assert.equal(body.traffic, 50);
  assert.deepEqual(
    body.variants.map(({ name: variant, weight, config }) => [variant, weight, config]),
    [
      ["control", 33.34, { checkout_version: "v1" }],
      ["treatment", 33.33, { checkout_version: "v2" }],
      ["treatment_b", 33.33, null],
    ],
  );
  assert.deepEqual(body.targeting, { countries: ["US", "CA"], user_segment: segment });
  assert.equal(body.primary_metric, metrics.conversion);
  assert.deepEqual(body.guardrail_metrics, [
    { metric: metrics.revenue, max_degradation: 0.05, margin_type: "relative" },
  ]);
  assert.equal(body.min_detectable_effect, 0.02);
  await assertAccessible(page, "setup of a draft");
});

test("a refusal that no field shows stands on top", async () => {
  await page.goto(`${BASE_URL}/experiments/new`);
  await page.fill(named("field-name"), name);
  await choose("field-primary-metric", metrics.conversion);
  await page.click(named("create"));
  await page.waitForSelector(named("form-errors"));
  assert.match(await page.locator("form").innerText(), /name|exists|taken/i);
});
