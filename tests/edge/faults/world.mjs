// What an edge depends on, made to go wrong: a store that serves signed configs, or damages them on the way, or does not answer; a collector.

import { createHash, createPrivateKey, createPublicKey, sign } from "node:crypto";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { FIXTURE, publish, scratch } from "../harness.mjs";

// An Ed25519 key of 32 equal bytes: its public key, its name, and what it signs.
export function signingKey(byte) {
  const seed = Buffer.alloc(32, byte);
  const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]);
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  const raw = createPublicKey(key).export({ format: "der", type: "spki" }).subarray(-32);
  return {
    publicKey: raw.toString("hex"),
    id: createHash("sha256").update(raw).digest("hex").slice(0, 16),
    sign: (bytes) => sign(null, bytes, key).toString("base64"),
  };
}

// A server whose answers can be replaced: `control.next(request, body)` gives `[status, body]`, `"reset"`, `"hang"`, or nothing for the usual, or a
// promise of them.
async function serve(t, control, usual) {
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const answer = (await control.next?.(request, body)) ?? usual(request, body);
    if (answer === "reset") return request.socket.destroy();
    if (answer === "hang") return;
    const [status, content = "", headers = {}] = answer;
    response.writeHead(status, { "content-length": Buffer.byteLength(content), ...headers }).end(content);
  });
  server.on("clientError", (_, socket) => socket.destroy());
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

// A store of signed configs and a collector. `publish` makes a generation; `spoil.pointer` and `spoil.blob` change what is served of it.
export async function makeWorld(t, key) {
  const folder = scratch(t);
  const world = { folder, key, generation: 0, store: {}, spoil: {}, collector: {}, events: [] };
  const latest = () => join(folder, `configs/${world.fixture.environment}/latest.json`);
  world.publish = (oddity, signer = world.key) => {
    const generation = ++world.generation;
    world.fixture ??= publish(folder, generation);
    if (oddity) execFileSync(FIXTURE, ["publish-odd", folder, String(generation), oddity]);
    else if (generation > 1) publish(folder, generation);
    const pointer = JSON.parse(readFileSync(latest()));
    const blob = readFileSync(join(folder, pointer.object));
    writeFileSync(latest(), JSON.stringify({ ...pointer, key_id: signer.id, signature: signer.sign(blob) }));
    return generation;
  };
  world.pointer = () => JSON.parse(readFileSync(latest()));
  world.blob = () => readFileSync(join(folder, world.pointer().object));
  // The copy of a config, as `sortition bundle` writes it.
  world.copy = () => Buffer.concat([Buffer.from(`${JSON.stringify(world.pointer())}\n`), world.blob()]);
  world.storeUrl = await serve(t, world.store, ({ url }) => {
    try {
      const bytes = readFileSync(join(folder, url));
      const spoil = url.endsWith("/latest.json") ? world.spoil.pointer : world.spoil.blob;
      return [200, spoil ? spoil(bytes) : bytes];
    } catch {
      return [404];
    }
  });
  world.collectorUrl = await serve(t, world.collector, (_, body) => {
    const events = body.toString().split("\n").filter(Boolean);
    world.events.push(...events.flatMap((line) => JSON.parse(line)));
    const receipt = { accepted: events.length, duplicate: 0, rejected: 0, errors: [] };
    return [202, JSON.stringify(receipt), { "content-type": "application/json" }];
  });
  return world;
}
