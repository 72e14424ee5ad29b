import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createExperiment, createMetrics, start, unique } from "./api.mjs";
import { assertAccessible, BASE_URL, named, openBrowser, signIn, textOf } from "./browser.mjs";

const PAGE_SIZE = 25;
const prefix = unique("listed");
let browser, page;

before(async () => {
  const metrics = await createMetrics();
  for (let index = 0; index < PAGE_SIZE + 3; index += 1) {
    const { id } = await createExperiment(`${prefix}_${index}`, metrics);
    if (index === 7) await start(id);
  }
  ({ page } = browser = await openBrowser());
  await signIn(page);
});
after(() => browser.close());

const rows = () => page.locator(named("experiment-row"));

test("the list is searched by name", async () => {
  await page.fill(named("search"), prefix);
  await page.waitForURL(/[?&]q=/);
  await page.waitForFunction(
    ([selector, wanted]) => {
      const names = [...document.querySelectorAll(selector)].map((row) => row.dataset.name);
      return names.length > 0 && names.every((name) => name.startsWith(wanted));
    },
    [named("experiment-row"), prefix],
  );
  assert.equal(await rows().count(), PAGE_SIZE);
  await assertAccessible(page, "experiments");
});

test("the next page is loaded on request, until there is none", async () => {
  await page.click(named("load-more"));
  await page.waitForFunction(
    ([selector, n]) => document.querySelectorAll(selector).length === n,
    [named("experiment-row"), PAGE_SIZE + 3],
  );
  assert.equal(await page.locator(named("load-more")).count(), 0);
});

test("the list is narrowed to a status, and the address keeps it", async () => {
  await page.goto(`${BASE_URL}/experiments?q=${prefix}&status=running`);
  await page.waitForSelector(named("experiment-row"));
  assert.equal(await rows().count(), 1);
  assert.match(await textOf(page, named("experiment-row")), new RegExp(`${prefix}_7.*Running`));
});

test("no match says what to do", async () => {
  await page.goto(`${BASE_URL}/experiments?q=${unique("nothing")}`);
  assert.match(await textOf(page, named("empty")), /No experiment matches/);
  await assertAccessible(page, "no experiments");
});
