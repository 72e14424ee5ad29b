// Honest exposures for experiments that are read through OpenFeature: a bulk evaluation only prepares them, and this hook
// reports each one when its flag is really read.

import { ExposureQueue } from "./exposures.js";
import type { ExposureOptions } from "./types.js";

export { ExposureQueue } from "./exposures.js";
export type { EdgeOptions, ExposureOptions, Fetch } from "./types.js";

/** What the hook reads of an evaluation. */
interface Details {
  readonly flagMetadata: Readonly<Record<string, unknown>>;
}

/** A hook of `@openfeature/web-sdk` that posts the deferred exposure of every flag that is read. */
export class ExposureHook {
  readonly queue: ExposureQueue;

  constructor(queue: ExposureQueue) {
    this.queue = queue;
  }

  /** Runs after every evaluation of a flag. */
  after(_hookContext: unknown, details: Details): void {
    const token = details.flagMetadata["exposure_token"];
    if (typeof token === "string") this.queue.add(token);
  }

  /** Sends what waits. */
  flush(): Promise<void> {
    return this.queue.flush();
  }
}

/** The hook for an edge: `OpenFeature.addHooks(exposureHook({ edge, sdkKey }))`. */
export function exposureHook(options: ExposureOptions): ExposureHook {
  return new ExposureHook(new ExposureQueue(options));
}
