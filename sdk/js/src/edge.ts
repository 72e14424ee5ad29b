// One request to the edge: the key in a header, a time limit, and no exception that is not an Error.

import type { EdgeOptions } from "./types.js";

const DEFAULT_TIMEOUT_MS = 5000;

/** Talks to one edge. */
export class Edge {
  readonly url: string;
  readonly sdkKey: string;
  /** Milliseconds that one request may take. */
  readonly timeoutMs: number;
  readonly #options: EdgeOptions;

  constructor(options: EdgeOptions) {
    this.timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.url = options.edge.replace(/\/+$/, "");
    this.sdkKey = options.sdkKey;
    this.#options = options;
  }

  /** Sends a request; `url` is absolute, or a path of the edge. */
  send(url: string, init: RequestInit): Promise<Response> {
    return this.#send(url, { ...init, signal: AbortSignal.timeout(this.timeoutMs) });
  }

  /** Opens an answer that has no end, on a path of the edge. */
  open(path: string, headers: Record<string, string>, signal: AbortSignal): Promise<Response> {
    return this.#send(path, { method: "GET", headers, signal });
  }

  #send(url: string, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers);
    headers.set("authorization", `Bearer ${this.sdkKey}`);
    // Looked up at every call, so that a page may replace it; called without `this`, as browsers ask for.
    const send = this.#options.fetch ?? ((url: string, init: RequestInit) => fetch(url, init));
    return send(url.startsWith("/") ? this.url + url : url, { ...init, headers });
  }

  /** Reports what went wrong. What the listener throws is not passed on. */
  report(error: unknown): void {
    try {
      this.#options.onError?.(error instanceof Error ? error : new Error(String(error)));
    } catch {
      // Nothing may break because somebody's logging did.
    }
  }
}

/** A timer that keeps no process alive. */
export function later(run: () => void, delayMs: number): ReturnType<typeof setTimeout> {
  const timer: unknown = setTimeout(run, delayMs);
  if (typeof timer === "object" && timer !== null && "unref" in timer) (timer as NodeJS.Timeout).unref();
  return timer as ReturnType<typeof setTimeout>;
}
