/** A fresh Chromium for one test file, signed in or not, and what every page must hold to. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

// The browser driver and axe are the dashboard's development dependencies; this folder has none of its own.
const dashboard = createRequire(new URL("../../dashboard/package.json", import.meta.url));
const { chromium } = dashboard("playwright-core");
const axe = await readFile(dashboard.resolve("axe-core/axe.min.js"), "utf8");

export const BASE_URL = process.env.BASE_URL ?? "http://127.0.0.1:8080";
export const ADMIN_TOKEN = process.env.ADMIN_TOKEN ?? "";

const ARGUMENTS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Milliseconds that an expected thing may take to appear; this bounds a hang, it measures nothing. */
const PATIENCE_MS = 20_000;

/** Rules of WCAG 2.2 AA, and of good practice. */
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/** Where pictures of the pages go, when someone wants to look at them. */
const PICTURES = process.env.PICTURES;

/** Finds by the stable name of an element. */
export const named = (name) => `[data-testid="${name}"]`;

/** A browser with an empty profile. `errors` collects what the page complains about in its console. */
export async function openBrowser() {
  const profile = await mkdtemp(join(tmpdir(), "sortition-chromium-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ARGUMENTS,
    viewport: { width: 1440, height: 900 },
    locale: "en-US",
  });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = context.pages()[0] ?? (await context.newPage());
  const errors = [];
  const strangers = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => {
    // A refused request is no fault of the page; what the page makes of it is what the tests look at.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource"))
      errors.push(message.text());
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(BASE_URL) && !/^(data|blob):/.test(request.url()))
      strangers.push(request.url());
  });
  return {
    page,
    /** Closes the browser; fails if a page broke its content security policy, threw, or asked a foreign host. */
    async close() {
      await context.close();
      await rm(profile, { recursive: true, force: true });
      assert.deepEqual(errors, [], "the console has no errors");
      assert.deepEqual(strangers, [], "the dashboard asks only its own server");
    },
  };
}

/** Signs in with the admin token and ends on the experiments list. */
export async function signIn(page) {
  await page.goto(`${BASE_URL}/`);
  await page.fill(named("token"), ADMIN_TOKEN);
  await page.click(named("sign-in"));
  await page.waitForSelector(named("new-experiment"));
}

/** Holds the page against the accessibility rules, as it stands now. */
export async function assertAccessible(page, what) {
  // Transitions fade texts in; half-way they have no contrast.
  await page.evaluate(() =>
    Promise.all(document.getAnimations().map((animation) => animation.finished.catch(() => {}))),
  );
  await page.evaluate(axe);
  const violations = await page.evaluate(
    async (rules) =>
      (await window.axe.run(document, { runOnly: rules })).violations.map(({ id, nodes }) => ({
        id,
        nodes: nodes.map(({ target, failureSummary }) => `${target.join(" ")}: ${failureSummary}`),
      })),
    RULES,
  );
  assert.deepEqual(violations, [], `${what} is accessible`);
  if (PICTURES)
    await page.screenshot({ path: join(PICTURES, `${what.replaceAll(" ", "-")}.png`), fullPage: true });
}

/** The text of an element, spaces as one. */
export async function textOf(page, selector) {
  return (await page.locator(selector).first().innerText()).replace(/\s+/g, " ").trim();
}
