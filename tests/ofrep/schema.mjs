// The protocol's own description of its answers (openapi.yaml, see README.md), as a validator.

import { readFileSync } from "node:fs";
import Ajv from "ajv/dist/2020.js";
import { parse } from "yaml";

// The published schema contradicts itself in one place: a value must fit exactly one of the flag types, and every value fits the
// one without a value as well (as every whole number fits two). Taken literally it refuses its own examples.
function amend(document) {
  const { evaluationSuccess, codeDefaultFlag } = document.components.schemas;
  const [, types] = evaluationSuccess.allOf;
  types.anyOf = types.oneOf;
  delete types.oneOf;
  codeDefaultFlag.not = { required: ["value"] };
  return document;
}

const PATHS = ["/ofrep/v1/evaluate/flags/{key}", "/ofrep/v1/evaluate/flags"];

export function loadSchema({ isAmended = true } = {}) {
  const text = readFileSync(new URL("openapi.yaml", import.meta.url), "utf8");
  const document = isAmended ? amend(parse(text)) : parse(text);
  const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
  ajv.addSchema(document, "ofrep");
  const check = (pointer, value) => {
    const validate = ajv.getSchema(`ofrep#${pointer}`);
    return validate(value) ? [] : validate.errors.map((error) => `${error.instancePath || "/"} ${error.message}`);
  };
  return { document, check };
}

const { document, check } = loadSchema();

// What is wrong with an answer, in sentences; an empty list for a good one. `body` is text.
export function faultsOfAnswer({ path, status, headers, body }) {
  const template = path === PATHS[1] ? PATHS[1] : PATHS[0];
  const described = document.paths[template].post.responses[status];
  if (described === undefined) return [`status ${status} is not in the protocol`];
  const schema = described.content?.["application/json"]?.schema;
  if (schema === undefined) {
    return status === 304 && body !== "" ? ["a 304 has a body"] : [];
  }
  const faults = [];
  if (!/^application\/json\b/.test(headers["content-type"] ?? "")) faults.push(`content-type is ${headers["content-type"]}`);
  if (template === PATHS[1] && status === 200 && !/^"[^"]+"$/.test(headers.etag ?? "")) faults.push("no strong ETag");
  let json;
  try {
    json = JSON.parse(body);
  } catch {
    return [...faults, "the body is not JSON"];
  }
  faults.push(...check(schema.$ref.slice(1), json));
  if (status !== 200 && typeof json.errorDetails !== "string") faults.push("no errorDetails");
  for (const flag of json.flags ?? (status === 200 ? [json] : [])) {
    if (typeof flag.variant !== "string") faults.push(`variant of ${flag.key} is no string`);
    if (flag.value === null) faults.push(`value of ${flag.key} is null`);
  }
  return faults;
}

// The same for one event of a stream; events of other names are none of the protocol's.
export function faultsOfEvent(block) {
  const field = (name) => block.split("\n").find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
  const [event, data, id, retry] = ["event", "data", "id", "retry"].map(field);
  if (data === undefined || (event ?? "message") !== "message") return [];
  const envelope = { data, event, id, ...(retry === undefined ? {} : { retry: Number(retry) }) };
  return [...check("/components/schemas/sseEvent", envelope), ...check("/components/schemas/sseEventData", JSON.parse(data))];
}
