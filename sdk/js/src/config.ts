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
  readonly #onTaken: ((generation: number) => void) | undefined;
  #isClosed = false;
  #form: Form | undefined;
  #etag: string | undefined;
  #refreshing: Promise<boolean> | undefined;

  /** `url` is where it is fetched from; a path is the edge's. `onTaken` is told of every config that is taken. */
  constructor(edge: Edge, url: string, onTaken?: (generation: number) => void) {
    this.#edge = edge;
    this.#url = url;
    this.#onTaken = onTaken;
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

  /**
   * Looks for a newer config; answers whether one was taken. One look at a time. `edition` is what a stream has told of, so that an
   * edge that has not heard of it looks, too.
   */
  refresh(edition?: string): Promise<boolean> {
    this.#refreshing ??= this.#refresh(edition).finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  /** Gives the memory back, and takes nothing any more. */
  close(): void {
    this.#isClosed = true;
    this.#form?.free();
    this.#form = undefined;
  }

  #tell(generation: number): void {
    try {
      this.#onTaken?.(generation);
    } catch (error) {
      this.#edge.report(error);
    }
  }

  async #refresh(edition?: string): Promise<boolean> {
    const told =
      edition === undefined || !this.#url.startsWith("/")
        ? ""
        : `?flagConfigEtag=${encodeURIComponent(edition)}`;
    try {
      const headers: Record<string, string> = this.#etag === undefined ? {} : { "if-none-match": this.#etag };
      const response = await this.#edge.send(this.#url + told, { method: "GET", headers });
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
    if (this.#isClosed) return false;
    const form = Form.decode(bytes);
    if (this.#form !== undefined && form.generation < this.#form.generation) {
      // An edge that is behind: a client never goes back.
      form.free();
      return false;
    }
    this.#form?.free();
    this.#form = form;
    this.#etag = etag ?? undefined;
    this.#tell(form.generation);
    return true;
  }
}
