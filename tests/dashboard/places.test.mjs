import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { call, createExperiment, createMetrics, unique } from "./api.mjs";
import { assertAccessible, BASE_URL, named, openBrowser, signIn, textOf } from "./browser.mjs";

// Names of projects have no `_`.
const project = unique("other").replaceAll("_", "-");
const here = unique("here");
const there = unique("there");
const inStaging = { "x-project": project, "x-environment": "staging" };
let browser, page;

before(async () => {
  assert.equal((await call("POST", "/projects", { name: project })).status, 201);
  assert.equal(
    (await call("POST", "/environments", { name: "staging" }, { "x-project": project })).status,
    201,
  );
  const variants = [
    { name: "control", weight: 50 },
    { name: "treatment", weight: 50 },
  ];
  assert.equal((await call("POST", "/experiments", { name: there, variants }, inStaging)).status, 201);
  await createExperiment(here, await createMetrics());
  ({ page } = browser = await openBrowser());
  await signIn(page);
});
after(() => browser.close());

const places = async () => [
  await page.inputValue(named("project")),
  await page.inputValue(named("environment")),
];
const rowOf = (name) => page.locator(`[data-name="${name}"]`);

test("every address names its project and environment", async () => {
  await page.waitForURL(/project=default&environment=production/);
  await rowOf(here).waitFor();
  assert.equal(await rowOf(there).count(), 0);
});

test("another project and environment are chosen, and everything shown is theirs", async () => {
  for (const [picker, name] of [
    ["project", project],
    ["environment", "staging"],
  ]) {
    await page.click(named(picker));
    await page.click(`[role="option"]:visible:has-text("${name}")`);
    await page.waitForURL(new RegExp(`${picker}=${name}`));
  }
  await rowOf(there).waitFor();
  assert.equal(await rowOf(here).count(), 0);
  assert.deepEqual(await places(), [project, "staging"]);
  await assertAccessible(page, "experiments of another project");
});

test("the way back leads into the project before", async () => {
  await page.goBack();
  await page.goBack();
  await rowOf(here).waitFor();
  assert.equal(await rowOf(there).count(), 0);
  assert.deepEqual(await places(), ["default", "production"]);
});

test("a link into another project opens there, also for who signs in by it", async () => {
  const listed = await call("GET", "/experiments", undefined, {
    "x-project": project,
    "x-environment": "staging",
  });
  const link = `${BASE_URL}/experiments/${listed.body.data[0].id}?project=${project}&environment=staging`;
  await page.goto(link);
  await page.waitForSelector(named("experiment-header"));
  assert.match(await textOf(page, named("experiment-header")), new RegExp(there));
  await page.click(named("sign-out"));
  await page.fill(named("token"), process.env.ADMIN_TOKEN);
  await page.click(named("sign-in"));
  await page.waitForSelector(named("experiment-header"));
  assert.deepEqual(await places(), [project, "staging"]);
});
