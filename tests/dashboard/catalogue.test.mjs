import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { call, createFlag, createLayer, createMetrics, createSegment, unique } from "./api.mjs";
import { assertAccessible, BASE_URL, named, openBrowser, signIn, textOf } from "./browser.mjs";

const flag = unique("flag");
const layer = unique("layer");
const segment = unique("segment");
let browser, page, metrics;

before(async () => {
  metrics = await createMetrics();
  await createFlag(flag);
  await createLayer(layer);
  await createSegment(segment);
  ({ page } = browser = await openBrowser());
  await signIn(page);
});
after(() => browser.close());

const isEnabled = async () => (await call("GET", `/flags/${flag}`)).body.enabled;

test("a flag is switched off and on again, after a confirmation", async () => {
  await page.click("nav >> text=Flags");
  const toggle = page.locator(named(`flag-switch-${flag}`));
  await toggle.click({ force: true });
  assert.match(await textOf(page, named("confirm")), /Everyone gets the off variant/);
  await assertAccessible(page, "kill switch");
  await page.click(named("cancel"));
  await page.waitForSelector(named("confirm"), { state: "detached" });
  assert.equal(await isEnabled(), true);
  for (const enabled of [false, true]) {
    await toggle.click({ force: true });
    await page.click(named("confirm-action"));
    await page.waitForFunction(
      ([selector, wanted]) => document.querySelector(selector)?.checked === wanted,
      [named(`flag-switch-${flag}`), enabled],
    );
    assert.equal(await isEnabled(), enabled);
    await page.waitForSelector(named("confirm"), { state: "detached" });
  }
  await assertAccessible(page, "flags");
});

for (const [title, path, names] of [
  ["Metrics", "metrics", () => Object.values(metrics)],
  ["Segments", "segments", () => [segment]],
  ["Layers", "layers", () => [layer]],
]) {
  test(`the ${path} are listed`, async () => {
    await page.goto(`${BASE_URL}/${path}`);
    await page.waitForSelector(named(path));
    assert.equal(await textOf(page, "h1"), title);
    for (const name of names()) assert.ok((await textOf(page, named(path))).includes(name), name);
    await assertAccessible(page, path);
  });
}

test("segments say who is in them", async () => {
  await page.goto(`${BASE_URL}/segments`);
  assert.match(await textOf(page, named("segments")), /returning equals true/);
});
