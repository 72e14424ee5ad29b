import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { call, createExperiment, createMetrics, start, unique } from "./api.mjs";
import { assertAccessible, BASE_URL, named, openBrowser, signIn, textOf } from "./browser.mjs";
import { postReport } from "./report.mjs";

const UNITS = { control: 10120, treatment_a: 5061, treatment_b: 5032 };
let browser, page, experiment, metrics;

before(async () => {
  metrics = await createMetrics();
  experiment = await createExperiment(unique("measured"), metrics);
  await start(experiment.id);
  ({ page } = browser = await openBrowser());
  await signIn(page);
  await page.goto(`${BASE_URL}/experiments/${experiment.id}/results`);
});
after(() => browser.close());

/** Left edge, centre and right edge of what a row draws, in pixels. */
async function geometry(metric, variant) {
  return page.locator(named(`interval-${metric}-${variant}`)).evaluate((svg) => {
    const bar = svg.querySelector('[data-part="interval"]');
    const lo = Number(bar.getAttribute("x"));
    return {
      lo,
      hi: lo + Number(bar.getAttribute("width")),
      point: Number(svg.querySelector('[data-part="point"]').getAttribute("cx")),
      label: svg.getAttribute("aria-label"),
    };
  });
}

test("before the first report the page says what it waits for", async () => {
  assert.match(await textOf(page, named("results")), /No data yet/);
  await assertAccessible(page, "results without data");
});

test("a report appears without reloading", async () => {
  await postReport(experiment, metrics, UNITS);
  await page.waitForSelector(named("scorecard"));
  assert.match(await textOf(page, named("as-of")), /^As of .* refreshed .*; renews by itself\./);
  await assertAccessible(page, "results while collecting");
});

test("exposures stand beside what the weights predict", async () => {
  assert.match(await textOf(page, named("exposure-control")), /control 10,120 10,107 \+13\.5/);
  assert.match(await textOf(page, named("exposures")), /20,213 units/);
  const label = await page.getAttribute(named("exposure-bar-treatment_a"), "aria-label");
  assert.equal(label, "treatment_a: 5,061 exposed, 5,053 expected");
});

test("the health strip judges sample ratio, multiple exposures, freshness and horizon", async () => {
  assert.match(await textOf(page, named("health-srm")), /OK/);
  assert.match(await textOf(page, named("health-multiple")), /3 units/);
  assert.match(await textOf(page, named("health-freshness")), /OK/);
  assert.match(await textOf(page, named("health-horizon")), /Collecting.*25\.2 % of the planned units/);
});

test("intervals are drawn where their numbers say, on one axis", async () => {
  const better = await geometry(metrics.conversion, "treatment_a");
  const worse = await geometry(metrics.conversion, "treatment_b");
  const revenue = await geometry(metrics.revenue, "treatment_b");
  const pixelsPerUnit = (better.hi - better.lo) / (0.166 - 0.0226);
  const near = (actual, expected) =>
    assert.ok(Math.abs(actual - expected) < 0.5, `${actual} is about ${expected}`);
  near(better.point - better.lo, (0.0935 - 0.0226) * pixelsPerUnit);
  near(worse.hi - worse.lo, (0.0503 + 0.0861) * pixelsPerUnit);
  near(better.point - worse.point, (0.0935 + 0.0196) * pixelsPerUnit);
  near(revenue.lo - worse.lo, (-0.19 + 0.0861) * pixelsPerUnit);
  assert.match(better.label, /\+9\.35\s%, 95\s% interval \+2\.26\s% to \+16\.6\s%, collecting/);
  assert.match(await textOf(page, named("summary")), /\+9\.35 %, 95 % interval \+2\.26 % to \+16\.6 %/);
  assert.equal(await page.locator(named(`margin-${metrics.revenue}`)).count(), 2);
});

test("p-values and verdicts are withheld until the horizon, and say why", async () => {
  const row = await textOf(page, named(`row-${metrics.conversion}-treatment_a`));
  assert.match(row, /Collecting p at the horizon/);
  assert.doesNotMatch(await textOf(page, named("scorecard")), /0\.0091/);
});

test("peeking is possible, and warned of", async () => {
  await page.locator(named("peek")).check({ force: true });
  await page.waitForSelector(`${named(`row-${metrics.conversion}-treatment_a`)}:has-text("0.0091")`);
  assert.match(
    await textOf(page, named(`verdict-${metrics.conversion}-treatment_a`)),
    /^Significant, better$/,
  );
  assert.match(await textOf(page, named("peek-alert")), /false positives/);
  await assertAccessible(page, "results while peeking");
  await page.locator(named("peek")).uncheck({ force: true });
});

test("every number stands in a table too, and can be taken away", async () => {
  await page.click(`${named("numbers")} summary`);
  assert.match(await textOf(page, named("numbers")), /two_proportions/);
  const [download] = await Promise.all([page.waitForEvent("download"), page.click(named("download-csv"))]);
  assert.equal(download.suggestedFilename(), `${experiment.name}.csv`);
});

test("a broken sample ratio is said before anything else, and withholds the summary", async () => {
  await postReport(experiment, metrics, { ...UNITS, treatment_b: 4400 }, { passed: false });
  await page.waitForSelector(named("srm-alert"));
  assert.match(await textOf(page, named("health-srm")), /Mismatch/);
  assert.match(await textOf(page, named("summary")), /Nothing can be said/);
  await assertAccessible(page, "results with a broken sample ratio");
});

test("a completed experiment shows its p-values and verdicts", async () => {
  const { status, body } = await call("POST", `/experiments/${experiment.id}/complete`);
  assert.equal(status, 200, JSON.stringify(body));
  await postReport(experiment, metrics, UNITS, { ready: true });
  await page.reload();
  await page.waitForSelector(`${named(`row-${metrics.conversion}-treatment_a`)}:has-text("0.0091")`);
  assert.match(await textOf(page, named(`verdict-${metrics.revenue}-treatment_b`)), /^Underpowered$/);
  assert.match(await textOf(page, named("health-horizon")), /Reached/);
  await assertAccessible(page, "results at the end");
});

test("dark colours have the same contrast", async () => {
  await page.click(named("color-scheme"));
  await page.waitForSelector('[data-mantine-color-scheme="dark"]');
  await assertAccessible(page, "results in dark colours");
});
