// The faults that may come over a running edge, one entry each:
//
//   begin, end   what goes wrong, and what puts it right again
//   standing     how good the config is meanwhile; every answer says so in a header unless it is "current"
//   seen         whether `/readyz` shows it
//   metric       the native edge's metric that shows it, and what its value must be
//   log          what the logs say
//   isNewGeneration   the fault itself is a generation that is taken: who gets which variant stays, the generation does not
//   logsExposures     exposures are logged meanwhile, and must arrive in the end

import { randomBytes } from "node:crypto";
import { signingKey } from "./world.mjs";

export const STRANGER = signingKey(0x99);
const YEAR_MS = 365 * 86_400_000;

const failing = ({ environment }) => environment.last_error !== null;
const refusedFor = (reason) => ({ environment }) => reason.test(environment.last_error ?? "") && environment.last_refused !== null;
const LOAD_FAILING = ["edge_config_load_failing", (value) => value === 1];
const REFUSED = ["edge_config_refused_total", (value) => value > 0];

// The store answers in another way.
const store = (name, answer, log = /config not read/) => ({
  name,
  begin: ({ store }) => (store.next = answer),
  end: ({ store }) => delete store.next,
  standing: "last-good",
  seen: failing,
  metric: LOAD_FAILING,
  log,
});

// A new generation is published, but what is served of it is spoiled.
const spoiled = (name, spoil, reason, { seen = refusedFor(reason), metric = REFUSED, log = /config refused/ } = {}) => ({
  name,
  begin: (world) => {
    world.spoil = spoil(world);
    world.publish();
  },
  end: (world) => (world.spoil = {}),
  standing: "last-good",
  seen,
  metric,
  log,
});

const editPointer = (edit) => (bytes) => Buffer.from(JSON.stringify(edit(JSON.parse(bytes))));
const editBlob = (edit) => (bytes) => {
  const copy = Buffer.from(bytes);
  edit(copy);
  return copy;
};

// A blob that passes every check, with something odd in it: it is taken, and the rest of it works.
const odd = (oddity, problem) => ({
  name: `${oddity.replace("-", " ")} inside a good blob`,
  begin: (world) => world.publish(oddity),
  end: (world) => world.publish(),
  standing: "current",
  seen: ({ environment }) => environment.faults?.some((fault) => problem.test(fault)),
  metric: ["edge_config_damaged_entries", (value) => value > 0],
  log: /an entry of the config is damaged/,
  isNewGeneration: true,
});

const collector = (name, answer, log) => ({
  name,
  begin: ({ collector }) => (collector.next = answer),
  end: ({ collector }) => delete collector.next,
  standing: "current",
  seen: ({ exposures }) => exposures.collector_failures > 0,
  metric: ["edge_collector_failures", (value) => value > 0],
  log,
  logsExposures: true,
});

const clock = (name, skewMs, seen) => ({
  name,
  begin: (_, edges) => Promise.all(edges.map((edge) => edge.skew(skewMs))),
  end: (_, edges) => Promise.all(edges.map((edge) => edge.skew(0))),
  standing: "current",
  seen,
  metric: ["edge_config_age_seconds", (value) => Math.abs(value) > YEAR_MS / 1000],
});

export const FAULTS = [
  store("store that resets connections", () => "reset"),
  store("store that answers 500", () => [500, "down"]),
  store("store that hangs", () => "hang"),
  store("store that has lost everything", () => [404], /config refused|no pointer/),
  spoiled("pointer to a missing object", () => ({ blob: undefined, pointer: editPointer((p) => ({ ...p, object: p.object.replace(/\d+-/, "9999-") })) }), undefined, {
    seen: ({ environment }) => /does not have/.test(environment.last_error ?? ""),
    metric: LOAD_FAILING,
    log: /does not have/,
  }),
  spoiled("truncated pointer", () => ({ pointer: (bytes) => bytes.subarray(0, bytes.length / 2) }), /pointer is not readable/),
  spoiled("truncated blob", () => ({ blob: (bytes) => bytes.subarray(0, bytes.length - 9) }), /truncated/),
  spoiled("bit-flipped blob", () => ({ blob: editBlob((bytes) => (bytes[bytes.length - 20] ^= 4)) }), /checksum/),
  spoiled("something else than a blob", () => ({ blob: () => Buffer.from("<html>login</html>") }), /magic/),
  spoiled("blob of a newer format", () => ({ blob: editBlob((bytes) => bytes.writeUInt16LE(999, 4)) }), /format version 999/),
  spoiled("unsigned blob", () => ({ pointer: editPointer(({ key_id, signature, ...rest }) => rest) }), /not signed/),
  spoiled("wrongly signed blob", () => ({ pointer: editPointer((p) => ({ ...p, signature: randomBytes(64).toString("base64") })) }), /signature .* does not match/),
  spoiled(
    "blob signed under an unknown key",
    (world) => ({ pointer: editPointer((p) => ({ ...p, key_id: STRANGER.id, signature: STRANGER.sign(world.blob()) })) }),
    /signed under the key ".*", which this edge does not have/,
  ),
  spoiled("blob that is not the one named by its hash", () => ({ pointer: editPointer((p) => ({ ...p, blake3: "00".repeat(32) })) }), /BLAKE3/),
  spoiled("older generation", (world) => {
    const old = JSON.stringify({ ...world.pointer(), generation: 1 });
    return { pointer: () => Buffer.from(old) };
  }, /below the generation/),
  odd("unknown-operator", /operator \d+ is not known/),
  odd("damaged-entry", /^experiment `/),
  collector("collector that resets connections", () => "reset", /collector not reached/),
  collector("collector that hangs", () => "hang", /collector not reached/),
  collector("collector that answers 500", () => [500, "down"], /the collector failed/),
  clock("clock ten years ahead", 10 * YEAR_MS, ({ age_ms }) => age_ms > 9 * YEAR_MS),
  clock("clock ten years behind", -10 * YEAR_MS, ({ age_ms }) => age_ms < -9 * YEAR_MS),
];
