export { Client } from "./client.js";
export { ExposureQueue } from "./exposures.js";
export { ExposureHook, exposureHook } from "./openfeature.js";
export type {
  AttributeValue,
  ClientOptions,
  Context,
  Decision,
  EdgeOptions,
  ExposureOptions,
  Fetch,
} from "./types.js";
