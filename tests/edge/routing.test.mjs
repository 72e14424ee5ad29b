// Routing in front of real origins: the Worker in workerd and the native edge, by the same table.

import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { eventually, readyz, startCollector } from "./harness.mjs";
import { ask, cookieOf, decisionsOf, html, qaToken, startEdges, startOrigin, visitors } from "./site.mjs";

const HOME = "<!doctype html><html><head><title>home</title></head><body>home</body></html>";

const treatment = (actions) => [{ variant: "treatment", actions }];
const route = (key, paths, rest) => ({ key, paths, experiment: "visitors", ...rest });

async function startSite(t, settings = {}) {
  const pages = {
    "/": html(HOME),
    "/nonce": html(HOME, { "content-security-policy": "script-src 'nonce-abc'" }),
    "/strict": html(HOME, { "content-security-policy": "default-src 'self'" }),
    "/encoded": html("", {}),
    "/cookies": (_, response) =>
      response
        .writeHead(200, [
          ["set-cookie", "a=1; Path=/"],
          ["set-cookie", "b=2; Domain=127.0.0.1; Path=/"],
          ["set-cookie", "sortition_id=forged; Path=/"],
        ].flat())
        .end("cookies"),
    "/moved": (_, response, url) => response.writeHead(302, { location: `${url.searchParams.get("to")}` }).end(),
    "/range": (request, response) => {
      const [, from, to] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? "bytes=0-9");
      response.writeHead(request.headers.range ? 206 : 200, { "content-type": "text/plain", "accept-ranges": "bytes" });
      response.end("0123456789".slice(Number(from), Number(to) + 1));
    },
    "/tagged": (request, response) => {
      const headers = { etag: '"v1"', "last-modified": "Fri, 20 Nov 2026 10:00:00 GMT", "cache-control": "public, max-age=600", "content-type": "text/html" };
      if (request.headers["if-none-match"]?.includes('"v1"')) return response.writeHead(304, headers).end();
      response.writeHead(200, { ...headers, "cache-control": "private, max-age=600" }).end(HOME);
    },
    "/fails": (_, response) => response.writeHead(200).end("control of fails"),
    "/hangs": (_, response) => response.writeHead(200).end("control of hangs"),
    "/refused": (_, response) => response.writeHead(200).end("control of refused"),
  };
  pages["/encoded"] = (_, response) => response.writeHead(200, { "content-type": "text/html", "content-encoding": "gzip" }).end(gzipSync(HOME));
  const site = await startOrigin(t, "site", pages);
  const next = await startOrigin(t, "next", {
    "/": html(HOME.replace("home", "next")),
    "/fails": (_, response) => response.writeHead(500).end("broken"),
    "/hangs": () => {},
  });
  const collector = await startCollector(t);
  const elsewhere = await startOrigin(t, "elsewhere");
  const started = await startEdges(
    t,
    [
      { key: "site", base: { origin: `${site.url}/` } },
      { key: "other-host", hosts: ["*.other.example"], base: { origin: elsewhere.url } },
      route("home", ["/", "/nonce", "/strict", "/encoded", "/tagged", "/echo-page"], { inject: true }),
      route("home-origin", ["/"], {
        variants: treatment({ origin: next.url, request_headers: [["x-theme", "dark"]], response_headers: [["x-served-by", "next"]] }),
      }),
      route("shop", ["/shop/*/**"], { variants: treatment({ path: "/v2/**/of/*" }) }),
      route("told", ["/told"], { tell_origin: true }),
      route("promo", ["/promo/*"], { variants: treatment({ redirect: { status: 307, location: "/new/*?from=promo" } }) }),
      route("circle", ["/circle/**"], { variants: treatment({ redirect: { status: 302, location: "/circle/x/**" } }) }),
      { key: "gone", paths: ["/gone/*"], base: { redirect: { status: 301, location: "https://archive.example/*" } } },
      route("fails", ["/fails", "/hangs"], { variants: treatment({ origin: next.url }) }),
      route("refused", ["/refused"], { variants: treatment({ origin: "http://127.0.0.1:1" }) }),
    ],
    { SORTITION_COLLECTOR_URL: collector.url, ...settings },
  );
  return { ...started, site, next, elsewhere, collector, cookies: await visitors(started.edges[0].url, "/") };
}

const echoed = (answer) => JSON.parse(answer.text);

test("a table of requests is routed alike by both edges", async (t) => {
  const { edges, cookies, site } = await startSite(t);
  const cases = [
    ["control stays at the site", "control", "/", {}, (a) => {
      assert.match(a.text, /<head><script>window\.__SORTITION__=.*<\/script><title>home/);
      assert.equal(a.headers["cache-control"], "private, no-cache");
      assert.equal(a.headers["content-length"], undefined);
      assert.match(a.headers.vary, /Cookie/);
    }],
    ["the treatment has another origin", "treatment", "/", {}, (a) => {
      assert.match(a.text, /<title>next/);
      assert.equal(a.headers["x-served-by"], "next");
      const { decisions, units, generation } = decisionsOf(a);
      // The experiment is sticky, and the visitor has been here: the cookie keeps the variant.
      assert.deepEqual(decisions, { visitors: { variant: "treatment", value: "t", enrolled: true, reason: "prior" } });
      assert.ok(units.anonymous_id.length >= 20 && generation === 1);
    }],
    ["paths are rewritten", "treatment", "/shop/1%2F2/a//b/?q=1&r=%20", {}, (a) => {
      assert.equal(echoed(a).url, "/v2/a//b//of/1%2F2?q=1&r=%20");
    }],
    ["and stay for control", "control", "/shop/1/a", {}, (a) => assert.equal(echoed(a).url, "/shop/1/a")],
    ["dot segments do not lead around a pattern", "treatment", "/x/%2e%2e/shop/1/a", {}, (a) => assert.equal(echoed(a).url, "/v2/a/of/1")],
    ["the origin is told the variant", "treatment", "/told", { headers: { "x-sortition-variants": "visitors=forged" } }, (a) => {
      const { headers } = echoed(a);
      assert.equal(headers["x-sortition-variants"], "visitors=treatment");
      assert.equal(headers["x-sortition-cache-key"], `${site.url}/told?__sortition=visitors=treatment`);
      assert.equal(headers["x-sortition-hops"], "1");
      assert.match(headers["x-forwarded-host"], /^127\.0\.0\.1:\d+$/);
      assert.equal(headers["x-forwarded-proto"], "http");
    }],
    ["nothing is told where it is not wanted", "treatment", "/plain", {}, (a) => {
      assert.equal(echoed(a).headers["x-sortition-variants"], undefined);
      assert.equal(a.headers["cache-control"], undefined);
      assert.equal(a.headers["set-cookie"], undefined);
    }],
    ["headers of the connection go no further", "control", "/plain", { headers: { connection: "x-secret", "x-secret": "1", "x-kept": "2" } }, (a) => {
      assert.equal(echoed(a).headers["x-secret"], undefined);
      assert.equal(echoed(a).headers["x-kept"], "2");
    }],
    ["a body passes", "control", "/plain", { method: "POST", body: Buffer.alloc(6_000_000, "x") }, (a) => {
      assert.deepEqual([echoed(a).method, echoed(a).n_bytes], ["POST", 6_000_000]);
    }],
    ["any method passes", "treatment", "/told", { method: "PURGE" }, (a, edge) => {
      // workerd knows the methods of the standard only.
      if (edge.name === "native") assert.equal(echoed(a).method, "PURGE");
    }, { differs: true }],
    ["HEAD has headers and no body", "control", "/told", { method: "HEAD" }, (a) => {
      assert.equal(a.bytes.length, 0);
      assert.equal(a.headers["content-type"], "application/json");
    }],
    ["a part passes", "control", "/range", { headers: { range: "bytes=2-4" } }, (a) => assert.deepEqual([a.status, a.text], [206, "234"])],
    ["cookies of the origin are kept, those for its own host become ours", "control", "/cookies", {}, (a) =>
      assert.deepEqual(a.headers["set-cookie"], ["a=1; Path=/", "b=2; Path=/"])],
    ["redirects to the origin's host become redirects to ours", "control", `/moved?to=${site.url}/a?b`, {}, (a, edge) =>
      assert.deepEqual([a.status, a.headers.location], [302, `${edge.url}/a?b`]), { differs: true }],
    ["other redirects stay", "control", "/moved?to=https://archive.example/", {}, (a) => assert.equal(a.headers.location, "https://archive.example/")],
    ["a variant may redirect, the query is kept", "treatment", "/promo/1?q=2", {}, (a) => {
      assert.deepEqual([a.status, a.headers.location], [307, "/new/1?from=promo&q=2"]);
      assert.equal(a.headers["cache-control"], "private, no-store");
    }],
    ["control is not redirected", "control", "/promo/1", {}, (a) => assert.equal(echoed(a).url, "/promo/1")],
    ["a redirect in a circle is not followed", "treatment", "/circle/1", {}, (a) => assert.equal(echoed(a).url, "/circle/1")],
    ["a route for all may redirect", "control", "/gone/a%20b", {}, (a) =>
      assert.deepEqual([a.status, a.headers.location, a.headers["cache-control"]], [301, "https://archive.example/a%20b", undefined])],
    ["the policy's nonce is used", "control", "/nonce", {}, (a) => assert.match(a.text, /<script nonce="abc">window/)],
    ["a strict policy gets the script's hash", "control", "/strict", {}, (a) =>
      assert.match(a.headers["content-security-policy"], /^default-src 'self' 'sha256-[A-Za-z0-9+/]{43}='$/)],
    ["an encoded page is left alone", "control", "/encoded", { headers: { "accept-encoding": "gzip" } }, (a) => assert.ok(!a.text.includes("__SORTITION__"))],
    ["what is no page is left alone", "control", "/echo-page", {}, (a) => assert.equal(echoed(a).headers["accept-encoding"], "identity")],
    ["parts of a page are left alone", "control", "/", { headers: { "sec-fetch-dest": "empty" } }, (a) => assert.equal(a.text, HOME)],
    ["a failing origin falls back to control's", "treatment", "/fails", {}, (a) => assert.deepEqual([a.status, a.text], [200, "control of fails"])],
    ["so does one that hangs", "treatment", "/hangs", {}, (a) => assert.equal(a.text, "control of hangs")],
    ["and one that cannot be reached", "treatment", "/refused", {}, (a) => assert.equal(a.text, "control of refused")],
    ["what may have had an effect is not sent again", "treatment", "/refused", { method: "POST", body: "x" }, (a) => assert.equal(a.status, 502)],
    ["an upgrade is refused", "control", "/plain", { headers: { connection: "Upgrade", upgrade: "websocket" } }, (a) => assert.equal(a.status, 501)],
    ["a request that came round is refused", "control", "/plain", { headers: { "x-sortition-hops": "3" } }, (a) => assert.equal(a.status, 508)],
    ["the edge's own paths stay its own", "control", "/healthz", {}, (a) => assert.deepEqual(echoed(a), { status: "ok" })],
    ["the host chooses among routes", "control", "/plain", { headers: { host: "a.other.example" } }, (a) => assert.equal(echoed(a).origin, "elsewhere")],
  ];
  for (const [name, variant, path, options, check, { differs = false } = {}] of cases) {
    const answers = [];
    for (const edge of edges) {
      const headers = { cookie: cookies[variant], accept: "text/html", ...options.headers };
      const answer = await ask(edge.url, path, { ...options, headers });
      try {
        check(answer, edge);
      } catch (error) {
        error.message = `${name} (${edge.name}): ${error.message}\n${answer.status} ${JSON.stringify(answer.headers)}\n${answer.text.slice(0, 300)}`;
        throw error;
      }
      answers.push(answer);
    }
    if (differs) continue;
    const comparable = ({ status, text, headers }) => {
      const { date, connection, "keep-alive": _, "transfer-encoding": __, ...rest } = headers;
      return { status, text: text.replaceAll(/127\.0\.0\.1:\d+/g, "host"), headers: rest };
    };
    const [worker, native] = answers.map(comparable);
    assert.equal(worker.text, native.text, name);
    assert.equal(worker.status, native.status, name);
    for (const header of ["cache-control", "content-security-policy", "content-type", "etag", "location", "set-cookie", "vary", "x-served-by"]) {
      assert.deepEqual(worker.headers[header], native.headers[header], `${name}: ${header}`);
    }
  }
  for (const { url } of edges) {
    const { routing } = await readyz(url);
    assert.equal(routing.fell_back, 3);
    assert.equal(routing.failed, 1);
    assert.equal(routing.looped, 1);
    assert.equal(routing.redirected, 2);
    assert.ok(routing.injected >= 4 && routing.not_injected === 1);
    assert.deepEqual(routing.missing_sdk_keys, []);
  }
});

test("a browser's copy of a page is confirmed for the same decisions only", async (t) => {
  const { edges, cookies, environment, list_secret } = await startSite(t);
  for (const { url, name } of edges) {
    const get = (headers, path = "/tagged") => ask(url, path, { headers: { cookie: cookies.control, accept: "text/html", ...headers } });
    const first = await get({});
    const { etag } = first.headers;
    assert.match(etag, /^W\/"v1~s[0-9a-f]{16}"$/, name);
    assert.equal(first.headers["last-modified"], undefined);
    const again = await get({ "if-none-match": etag });
    assert.deepEqual([again.status, again.headers.etag], [304, etag], name);
    assert.equal((await get({ "if-none-match": '"v1"' })).status, 200, "a copy without decisions");
    assert.equal((await get({ "if-none-match": etag, cookie: cookies.treatment })).status, 200, "a copy of another visitor");
    const token = qaToken(list_secret, environment, Math.floor(Date.now() / 1000) + 60, { visitors: "treatment" });
    assert.equal((await get({ "if-none-match": etag }, `/tagged?sortition_qa=${token}`)).status, 200, "another variant");
  }
});

test("visitors are known again, and only pages make new ones", async (t) => {
  const { edges } = await startSite(t);
  for (const { url, name } of edges) {
    const first = await ask(url, "/", { headers: { accept: "text/html" } });
    const cookie = cookieOf(first);
    assert.ok(cookie, name);
    const again = await ask(url, "/", { headers: { accept: "text/html", cookie } });
    assert.deepEqual(decisionsOf(again).units, decisionsOf(first).units);
    assert.equal(cookieOf(again), undefined);
    const image = await ask(url, "/told", { headers: { "sec-fetch-dest": "image" } });
    assert.equal(cookieOf(image), undefined);
    assert.equal(JSON.parse(image.text).headers["x-sortition-variants"], "visitors=control");
  }
});

test("a signed link shows a variant until it expires, and counts for nothing", async (t) => {
  const { edges, cookies, environment, list_secret, collector } = await startSite(t);
  const now = Math.floor(Date.now() / 1000);
  const token = (expires, variants, secret = list_secret) => qaToken(secret, environment, expires, variants);
  for (const { url, name } of edges) {
    const get = (path, cookie = cookies.control) => ask(url, path, { headers: { accept: "text/html", cookie } });
    const shown = await get(`/?a=1&sortition_qa=${token(now + 60, { visitors: "treatment" })}`);
    assert.match(shown.text, /<title>next/, name);
    assert.equal(decisionsOf(shown).decisions.visitors.reason, "override");
    assert.equal(shown.headers["x-sortition-variants"], "visitors=treatment");
    const kept = cookieOf(shown, "sortition_qa");
    assert.match((await get("/", `${cookies.control}; ${kept}`)).text, /<title>next/);
    const echo = await ask(url, `/told?a=1&sortition_qa=${token(now + 60, { visitors: "treatment" })}`, { headers: { cookie: cookies.control } });
    assert.equal(JSON.parse(echo.text).url, "/told?a=1");
    const ended = await get("/?sortition_qa=off", `${cookies.control}; ${kept}`);
    assert.match(ended.text, /<title>home/);
    assert.equal(cookieOf(ended, "sortition_qa"), "sortition_qa=");
    for (const bad of [token(now - 1, { visitors: "treatment" }), token(now + 60, { visitors: "treatment" }, "22".repeat(32)), "x", token(now + 60, { visitors: "nobody" })]) {
      assert.match((await get(`/?sortition_qa=${bad}`)).text, /<title>home/, bad);
    }
  }
  await eventually("exposures", () => collector.events().length > 0);
  assert.ok(collector.events().every(({ reason }) => ["split", "prior"].includes(reason)));
});

test("what was served is logged, once, and what was only fetched ahead is not", async (t) => {
  const { edges, collector } = await startSite(t);
  for (const { url, name } of edges) {
    const { environment, ...page } = decisionsOf(await ask(url, "/", { headers: { accept: "text/html", "sec-purpose": "prefetch" } }));
    const first = await ask(url, "/", { headers: { accept: "text/html" } });
    const { units } = decisionsOf(first);
    const headers = { accept: "text/html", cookie: cookieOf(first) };
    await ask(url, "/", { headers });
    await ask(url, "/promo/1", { headers });
    const mine = () => collector.events().filter((event) => event.units.anonymous_id === units.anonymous_id);
    const [event] = await eventually(`exposure (${name})`, () => mine().length > 0 && mine());
    assert.deepEqual([event.type, event.experiment, event.generation, event.attributes.path], ["exposure", "visitors", 1, "/"]);
    assert.equal(mine().length, 1, name);
    assert.ok(!collector.events().some((event) => event.units.anonymous_id === page.units.anonymous_id), name);
  }
});

test("a page streams through without being held", async (t) => {
  const size = 64 * 1024 * 1024;
  // Compressing for the client, as Cloudflare and its simulation do, would gather small pieces.
  const plain = { headers: { "accept-encoding": "identity" } };
  let sent = 0;
  let release;
  const origin = await startOrigin(t, "site", {
    "/slow": async (_, response) => {
      response.writeHead(200, { "content-type": "text/html" });
      response.write("<html><head><title>first</title>");
      await new Promise((resolve) => (release = resolve));
      response.end("</head><body>last</body></html>");
    },
    "/large": async (_, response) => {
      response.writeHead(200, { "content-type": "text/html" });
      response.write("<html><head></head>");
      const chunk = Buffer.alloc(64 * 1024, "x");
      const closed = once(response, "close");
      for (sent = 0; sent < size && !response.destroyed; sent += chunk.length) {
        if (!response.write(chunk)) await Promise.race([once(response, "drain"), closed]);
      }
      response.end();
    },
  });
  const { edges } = await startEdges(t, [{ key: "all", base: { origin: origin.url }, experiment: "visitors", inject: true }]);
  for (const { url, name } of edges) {
    const slow = (await fetch(`${url}/slow`, plain)).body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes("first")) text += (await slow.read()).value;
    assert.match(text, /^<html><head><script>window.*<\/script><title>first/, "the beginning came while the origin still held the end");
    release();
    for (let part; !(part = await slow.read()).done; ) text += part.value;
    assert.match(text, /last<\/body><\/html>$/, name);

    const large = (await fetch(`${url}/large`, plain)).body.getReader();
    let received = (await large.read()).value.length;
    // A client that does not read: what the origin can send meanwhile lies in buffers on the way.
    let before;
    do {
      before = sent;
      await new Promise((resolve) => setTimeout(resolve, 300));
    } while (sent !== before);
    t.diagnostic(`${name}: ${(sent / 1e6).toFixed(1)} MB lay on the way to a client that did not read`);
    assert.ok(sent < size / 2, `${name} took ${sent} bytes without sending them on`);
    for (let part; !(part = await large.read()).done; ) received += part.value.length;
    assert.ok(received > size, name);
  }
});

test("the Worker's cache keeps the variants of a page apart, and those alone", async (t) => {
  const cacheable = (text) => html(text, { "cache-control": "public, max-age=60" });
  const pages = { "/": cacheable(HOME), "/about": cacheable(HOME), "/own": html(HOME, { "cache-control": "private, max-age=60" }), "/old": cacheable("") };
  const site = await startOrigin(t, "site", pages);
  const next = await startOrigin(t, "next", pages);
  const { edges } = await startEdges(t, [
    { key: "all", base: { origin: site.url } },
    route("home", ["/", "/own"], { inject: true, variants: treatment({ origin: next.url }) }),
    route("about", ["/about"], { inject: true }),
  ]);
  const { url } = edges[0];
  const cookies = await visitors(url, "/about");
  const get = (path, cookie) => ask(url, path, { headers: { accept: "text/html", cookie } });
  const count = ({ requests }, path) => requests.filter((request) => request.url === path).length;
  const other = await visitors(url, "/about");
  for (const cookie of [cookies.control, other.control, cookies.treatment, other.treatment, cookies.control]) {
    const answer = await get("/", cookie);
    assert.ok(decisionsOf(answer).decisions.visitors, "decisions are written into pages from the cache");
    assert.equal(answer.headers["cache-control"], "private, no-cache");
    await eventually("the page is kept", async () => (await get("/", cookie)).headers["cf-cache-status"] === "HIT");
  }
  assert.deepEqual([count(site, "/"), count(next, "/")], [1, 1]);
  assert.equal(count(site, "/about"), 1, "decisions that only the browser sees do not split the cache");
  for (let n = 0; n < 3; n++) await get("/own", cookies.control);
  assert.equal(count(site, "/own"), 3);
  assert.notEqual(decisionsOf(await get("/", cookies.control)).units.anonymous_id, decisionsOf(await get("/", other.control)).units.anonymous_id);
  assert.ok((await readyz(url)).routing.cached >= 8);
});

test("without a config everything passes to the host's own origin", async (t) => {
  const site = await startOrigin(t, "site", { "/": html(HOME) });
  const { edges } = await startEdges(t, [], { origin: site.url, SORTITION_CONFIG_URL: "http://127.0.0.1:1" });
  for (const { url } of edges) {
    assert.equal((await ask(url, "/")).text, HOME);
    assert.equal(JSON.parse((await ask(url, "/a/b?c", { method: "POST", body: "xyz" })).text).n_bytes, 3);
  }
});

test("an origin that leads back to the edge is noticed", async (t) => {
  let edge;
  const mirror = await startOrigin(t, "mirror", {
    "/": async (request, response) => {
      const answer = await ask(edge, "/", { headers: { "x-sortition-hops": request.headers["x-sortition-hops"] } });
      response.writeHead(answer.status).end(answer.text);
    },
  });
  const { edges } = await startEdges(t, [], { origin: mirror.url });
  for (const { url } of edges) {
    edge = url;
    assert.equal((await ask(url, "/")).status, 508);
  }
});

test("a trap passes the request on without the edge", async (t) => {
  const site = await startOrigin(t, "site");
  const { startWorker } = await import("./harness.mjs");
  const patch = (path, text) => (path === "routing.js" ? text.replace("if (!is_routed(", "if (path === '/trap') throw new Error('trap');\n  if (!is_routed(") : text);
  const { url } = await startWorker(t, { patch, SORTITION_HOSTS: `*=production-k3v9x2mq@${site.url}` });
  assert.equal(JSON.parse((await ask(url, "/trap?a=1")).text).url, "/trap?a=1");
  assert.equal(JSON.parse((await ask(url, "/b")).text).url, "/b");
});
