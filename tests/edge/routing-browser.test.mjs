// The demo site in Chromium: decisions are there before the first script of a page, so nothing is drawn twice.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { promisify } from "node:util";
import { startDemo } from "../../edge-worker/examples/site/serve.mjs";
import { scratch } from "./harness.mjs";

const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);

async function dom(t, url) {
  const options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", `--user-data-dir=${scratch(t)}`];
  const { stdout } = await promisify(execFile)(CHROMIUM, [...options, "--virtual-time-budget=5000", "--dump-dom", url], { timeout: 60_000 });
  return stdout;
}

for (const kind of ["worker", "native"]) {
  test(`pages are drawn in their variant from the first script on (${kind})`, { skip: !CHROMIUM && "there is no Chromium" }, async (t) => {
    const { url, tokens } = await startDemo(t, kind);
    for (const [variant, headline] of [["control", "Pots and pans"], ["treatment", "Pots that outlive their owners"]]) {
      const home = await dom(t, `${url}/?sortition_qa=${tokens[variant]}`);
      // Written by the page's own first script, out of what was injected before it.
      assert.match(home, new RegExp(`data-variant="${variant}"`));
      assert.match(home, new RegExp(`data-headline="${headline}"`));
      assert.ok(home.indexOf("window.__SORTITION__=") < home.indexOf("const decided"), "the decisions come first");
      assert.ok(home.indexOf('charset="utf-8"') < home.indexOf("window.__SORTITION__="), "the encoding stays where browsers look for it");
    }
    const visitor = await dom(t, `${url}/`);
    assert.match(visitor, /data-variant="(control|treatment)"/);
    assert.match(await dom(t, `${url}/pricing/?sortition_qa=${tokens.treatment}`), /by the year/);
    assert.match(await dom(t, `${url}/checkout/?sortition_qa=${tokens.treatment}`), /On one page/);
    assert.match(await dom(t, `${url}/offer?sortition_qa=${tokens.treatment}`), /by the year/, "a redirect, and the override stays");
  });
}
