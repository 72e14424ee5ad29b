// Exposures on their way to the edge: each token once, many in one request, kept until the edge has answered.

import { Edge, later } from "./edge.js";
import type { ExposureOptions } from "./types.js";

const DEFAULT_FLUSH_INTERVAL_MS = 1000;
const MAX_RETRY_MS = 60_000;
/** Tokens of one request: stays below the 64 KiB that a browser sends after its page is gone. */
const MAX_BATCH = 100;
const MAX_BATCH_BYTES = 60_000;
/** Tokens that wait; the oldest are dropped first, and counted. */
const MAX_PENDING = 1000;
/** Tokens that are remembered, so that each is sent once. */
const MAX_SEEN = 10_000;

/** Posts exposure tokens to `POST /v1/exposures`. */
export class ExposureQueue {
  readonly #edge: Edge;
  readonly #intervalMs: number;
  readonly #seen = new Set<string>();
  #pending: string[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #sending: Promise<void> | undefined;
  #n_failures = 0;
  #n_dropped = 0;

  constructor(options: ExposureOptions, edge = new Edge(options)) {
    this.#edge = edge;
    this.#intervalMs = options.flushIntervalMs ?? DEFAULT_FLUSH_INTERVAL_MS;
    // A page that is left gets no more turns: what waits is handed to the browser.
    if (typeof document !== "undefined") {
      addEventListener("pagehide", this.#leave);
      document.addEventListener("visibilitychange", this.#hide);
    }
  }

  /** Tokens that the edge has not taken yet. */
  get n_pending(): number {
    return this.#pending.length;
  }

  /** Tokens that were given up. */
  get n_dropped(): number {
    return this.#n_dropped;
  }

  /** Takes a token, once. */
  add(token: string): void {
    if (this.#seen.has(token)) return;
    this.#seen.add(token);
    if (this.#seen.size > MAX_SEEN) {
      const [oldest] = this.#seen;
      if (oldest !== undefined) this.#seen.delete(oldest);
    }
    this.#pending.push(token);
    if (this.#pending.length > MAX_PENDING) {
      this.#pending.shift();
      this.#n_dropped++;
    }
    this.#timer ??= later(() => void this.flush(), this.#intervalMs);
  }

  /** Sends what waits, and answers when it was tried. */
  flush(): Promise<void> {
    this.#sending ??= this.#send().finally(() => {
      this.#sending = undefined;
    });
    return this.#sending;
  }

  /** Sends what waits and stops listening to the page. */
  async close(): Promise<void> {
    await this.flush();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (typeof document !== "undefined") {
      removeEventListener("pagehide", this.#leave);
      document.removeEventListener("visibilitychange", this.#hide);
    }
  }

  async #send(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#pending.length > 0) {
      const batch = this.#take();
      if (await this.#post(batch)) {
        this.#n_failures = 0;
        continue;
      }
      // Whatever came in between stands behind.
      this.#pending = [...batch, ...this.#pending];
      this.#n_failures++;
      const delay = Math.min(MAX_RETRY_MS, this.#intervalMs * 2 ** this.#n_failures);
      this.#timer ??= later(() => void this.flush(), delay * (0.5 + Math.random() / 2));
      return;
    }
  }

  #take(): string[] {
    let bytes = 0;
    let n = 0;
    for (const token of this.#pending.slice(0, MAX_BATCH)) {
      bytes += token.length + 3;
      if (n > 0 && bytes > MAX_BATCH_BYTES) break;
      n++;
    }
    return this.#pending.splice(0, n);
  }

  /** Whether the batch is done with. */
  async #post(tokens: string[]): Promise<boolean> {
    try {
      const init = { method: "POST", body: JSON.stringify({ tokens }), keepalive: true };
      const response = await this.#edge.send("/v1/exposures", {
        ...init,
        headers: { "content-type": "application/json" },
      });
      if (response.ok) return true;
      this.#edge.report(new Error(`exposures: the edge answered ${response.status}`));
      // Too many requests, or the edge's fault: it may be better later. Anything else will not.
      if (response.status === 429 || response.status >= 500) return false;
      this.#n_dropped += tokens.length;
      return true;
    } catch (error) {
      this.#edge.report(error);
      return false;
    }
  }

  readonly #leave = (): void => {
    // A beacon carries no headers: the key travels in the URL, as a client key may, and plain text needs no leave of CORS.
    const url = `${this.#edge.url}/v1/exposures?key=${encodeURIComponent(this.#edge.sdkKey)}`;
    while (this.#pending.length > 0) {
      const batch = this.#take();
      if (!navigator.sendBeacon(url, JSON.stringify({ tokens: batch }))) {
        this.#pending = [...batch, ...this.#pending];
        return;
      }
    }
  };

  readonly #hide = (): void => {
    if (document.visibilityState === "hidden") this.#leave();
  };
}
