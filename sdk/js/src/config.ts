// The client form in memory: fetched, refreshed by its tag, and kept as long as nothing better arrives.

import type { Edge } from "./edge.js";
import { Form, initSync } from "./sdk_wasm.js";

let started = false;

/** Makes the one Wasm instance of this process or page. */
export function start(module: WebAssembly.Module): void {
  if (started) return;
  initSync({ module });
  started = true;
}

/** The config that decides. */
export class Config {
  readonly #edge: Edge;
  readonly #url: string;
  #form: Form | undefined;
  #etag: string | undefined;
  #refreshing: Promise<boolean> | undefined;

  constructor(edge: Edge, url: string) {
    this.#edge = edge;
    this.#url = url;
  }

  /** Generation of the config; `null` before the first. */
  get generation(): number | null {
    return this.#form?.generation ?? null;
  }

  /** What the form says of a key; `undefined` when there is no form. */
  evaluate(key: string, context: string, nowMs: number): string | undefined {
    try {
      return this.#form?.evaluate(key, context, nowMs);
    } catch (error) {
      // A trap leaves an instance that nobody should ask again.
      this.#form = undefined;
      this.#edge.report(error);
      return undefined;
    }
  }

  /** Looks for a newer config; answers whether one was taken. One look at a time. */
  refresh(): Promise<boolean> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  /** Gives the memory back. */
  free(): void {
    this.#form?.free();
    this.#form = undefined;
  }

  async #refresh(): Promise<boolean> {
    try {
      const headers: Record<string, string> = this.#etag === undefined ? {} : { "if-none-match": this.#etag };
      const response = await this.#edge.send(this.#url, { method: "GET", headers });
      if (response.status === 304) return false;
      if (!response.ok) throw new Error(`config: the edge answered ${response.status}`);
      const bytes = new Uint8Array(await response.arrayBuffer());
      return this.#take(bytes, response.headers.get("etag"));
    } catch (error) {
      this.#edge.report(error);
      return false;
    }
  }

  #take(bytes: Uint8Array, etag: string | null): boolean {
    const form = Form.decode(bytes);
    if (this.#form !== undefined && form.generation < this.#form.generation) {
      // An edge that is behind: a client never goes back.
      form.free();
      return false;
    }
    this.#form?.free();
    this.#form = form;
    this.#etag = etag ?? undefined;
    return true;
  }
}
