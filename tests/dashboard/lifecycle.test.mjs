import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { call, createExperiment, createLayer, createMetrics, unique } from "./api.mjs";
import { assertAccessible, BASE_URL, named, openBrowser, signIn, textOf } from "./browser.mjs";

let browser, page, experiment, layer;

before(async () => {
  layer = unique("layer");
  await createLayer(layer);
  experiment = await createExperiment(unique("lived"), await createMetrics(), {
    layer,
    traffic: 60,
    expected_daily_units: 10,
  });
  ({ page } = browser = await openBrowser());
  await signIn(page);
  await page.goto(`${BASE_URL}/experiments/${experiment.id}`);
  await page.waitForSelector(named("experiment-header"));
});
after(() => browser.close());

const status = async () => (await call("GET", `/experiments/${experiment.id}`)).body.status;
const waitForStatus = (word) =>
  page.waitForSelector(`${named("experiment-header")} ${named("status")}:has-text("${word}")`);

test("a draft owns no buckets, and has no results", async () => {
  assert.match(await textOf(page, named("allocation")), /no buckets yet/);
  await page.click(named("tab-results"));
  assert.match(await textOf(page, named("empty")), /Not started/);
  await assertAccessible(page, "results of a draft");
});

test("a step that is cancelled changes nothing", async () => {
  await page.click(named("action-start"));
  assert.match(await textOf(page, named("confirm")), /60 % of the units/);
  await page.click(named("cancel"));
  await page.waitForSelector(named("confirm"), { state: "detached" });
  assert.equal(await status(), "draft");
});

test("starting names the weaknesses of the plan, each to be accepted", async () => {
  await page.click(named("action-start"));
  await page.click(named("confirm-action"));
  await page.waitForSelector(named("start-warnings"));
  assert.equal(await status(), "draft");
  assert.ok(await page.isDisabled(named("confirm-action")));
  await assertAccessible(page, "warnings at the start");
  const boxes = page.locator(`${named("start-warnings")} input[type="checkbox"]`);
  for (let index = 0; index < (await boxes.count()); index += 1) await boxes.nth(index).check();
  await page.click(named("confirm-action"));
  await waitForStatus("Running");
  assert.equal(await status(), "running");
});

test("a running experiment shows the buckets that it owns and how it splits them", async () => {
  const { body } = await call("GET", `/experiments/${experiment.id}`);
  const owned = body.layer.ranges.reduce((sum, [lo, hi]) => sum + hi - lo, 0);
  assert.equal(owned, 6000);
  assert.match(await textOf(page, named("allocation")), new RegExp(`${layer}.*60 %`));
  await page.click(named("tab-setup"));
  for (const { name, ranges } of body.variants) {
    const shown = ranges.map(([lo, hi]) => `${lo}–${hi - 1}`).join(", ");
    assert.match(await textOf(page, named("setup-variants")), new RegExp(`${name} .*${shown}`));
  }
  await assertAccessible(page, "setup of a running experiment");
});

test("a step on a version that has changed meanwhile is refused, and the page catches up", async () => {
  await page.click(named("action-pause"));
  const { etag } = await call("GET", `/experiments/${experiment.id}`);
  const patched = await call(
    "PATCH",
    `/experiments/${experiment.id}`,
    { description: "changed elsewhere" },
    { "if-match": etag },
  );
  assert.equal(patched.status, 200, JSON.stringify(patched.body));
  await page.click(named("confirm-action"));
  await page.waitForSelector(`${named("confirm")} ${named("problem")}`);
  assert.match(await textOf(page, `${named("confirm")} ${named("problem")}`), /changed meanwhile/);
  assert.equal(await status(), "running");
  await page.click(named("cancel"));
});

for (const [action, word, consequence] of [
  ["pause", "Paused", /Everyone gets control/],
  ["resume", "Running", /enrolled again/],
  ["complete", "Completed", /ends for good/],
  ["archive", "Archived", /edges forget/],
]) {
  test(`${action} says what follows, then does it`, async () => {
    await page.click(named(`action-${action}`));
    assert.match(await textOf(page, named("confirm")), consequence);
    await page.click(named("confirm-action"));
    await waitForStatus(word);
    assert.equal(await status(), word.toLowerCase());
  });
}

test("nothing can be done with an archived experiment", async () => {
  assert.equal(await page.locator('[data-testid^="action-"]').count(), 0);
  await assertAccessible(page, "archived experiment");
});

test("an experiment that does not exist is said to be missing", async () => {
  await page.goto(`${BASE_URL}/experiments/00000000-0000-7000-8000-000000000000`);
  await page.waitForSelector(named("problem"));
  assert.match(await textOf(page, named("problem")), /no experiment/);
  await assertAccessible(page, "missing experiment");
});
