import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ADMIN_TOKEN, assertAccessible, BASE_URL, named, openBrowser, signIn, textOf } from "./browser.mjs";

let browser, page;
before(async () => ({ page } = browser = await openBrowser()));
after(() => browser.close());

test("a page that needs a token asks for it", async () => {
  await page.goto(`${BASE_URL}/experiments/new`);
  await page.waitForSelector(named("token"));
  await assertAccessible(page, "sign in");
});

test("an empty or unknown token is refused at its field", async () => {
  await page.click(named("sign-in"));
  await page.waitForSelector("text=Enter an API token.");
  await page.fill(named("token"), "st_unknown");
  await page.click(named("sign-in"));
  await page.waitForSelector("text=This token is not known");
  assert.equal(await page.getAttribute(named("token"), "aria-invalid"), "true");
  await assertAccessible(page, "refused sign in");
});

test("a token opens the page that was asked for, with project and environment", async () => {
  await page.fill(named("token"), ADMIN_TOKEN);
  await page.click(named("sign-in"));
  await page.waitForSelector(named("field-name"));
  assert.equal(await page.inputValue(named("project")), "default");
  assert.equal(await page.inputValue(named("environment")), "production");
});

test("the token lives in the tab and is gone after signing out", async () => {
  await page.reload();
  await page.waitForSelector(named("field-name"));
  await page.click(named("sign-out"));
  await page.waitForSelector(named("token"));
  const kept = await page.evaluate(() =>
    JSON.stringify([{ ...window.sessionStorage }, { ...window.localStorage }]),
  );
  assert.ok(!kept.includes(ADMIN_TOKEN));
});

test("an address that is no page says so", async () => {
  await signIn(page);
  await page.goto(`${BASE_URL}/no/such/page`);
  assert.equal(await textOf(page, "h1"), "No such page");
  await assertAccessible(page, "no such page");
});

test("the server lets the page load nothing from elsewhere", async () => {
  const response = await page.goto(`${BASE_URL}/`);
  assert.match(response.headers()["content-security-policy"] ?? "", /default-src 'self'/);
});
