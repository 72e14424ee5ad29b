// News of newer configs, by the edge's stream: through EventSource where there is one, else read from a fetch. It is opened again whenever it
// ends, and says then what it has heard already, so that nothing is missed.

import { later } from "./edge.js";
import type { Edge } from "./edge.js";
import { EventReader } from "./events.js";

const PATH = "/v1/stream";
/** Milliseconds without a byte after which a fetched stream is given up for dead. The edge sends something every 15 seconds. */
const SILENCE_MS = 45_000;
/** Milliseconds after which a stream that ended is opened again, where the edge asks for nothing else; doubled with every failure. */
const RETRY_MS = 2000;
const MAX_RETRY_MS = 60_000;

/** A generation that was published. */
export interface News {
  readonly generation: number;
  /** How the edge names it: `GET /v1/config-bundle?flagConfigEtag=…` answers nothing older, if it can. */
  readonly edition: string;
}

/** The stream of one client. */
export class ConfigStream {
  readonly #edge: Edge;
  readonly #onNews: (news: News) => void;
  #lastEventId = "";
  #retryMs = RETRY_MS;
  #n_failures = 0;
  #isOpen = false;
  #isClosed = false;
  #end: (() => void) | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(edge: Edge, onNews: (news: News) => void) {
    this.#edge = edge;
    this.#onNews = onNews;
  }

  /** Whether the edge would tell now. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Opens it. */
  open(): void {
    if (this.#isClosed) return;
    if (typeof EventSource === "undefined") this.#fetch();
    else this.#listen();
  }

  /** Ends it for good. */
  close(): void {
    this.#isClosed = true;
    this.#isOpen = false;
    clearTimeout(this.#timer);
    this.#end?.();
  }

  #listen(): void {
    // EventSource sends no headers: the key stands in the URL, as a client key may.
    const since = this.#lastEventId === "" ? "" : `&since=${encodeURIComponent(this.#lastEventId)}`;
    const source = new EventSource(
      `${this.#edge.url}${PATH}?key=${encodeURIComponent(this.#edge.sdkKey)}${since}`,
    );
    this.#end = () => source.close();
    source.onopen = () => this.#opened();
    source.addEventListener("config", (event: MessageEvent<string>) => {
      this.#lastEventId = event.lastEventId;
      this.#hear("config", event.data);
    });
    source.onerror = () => {
      this.#isOpen = false;
      // Else the browser opens it again by itself, after the time that the edge asked for and with `Last-Event-ID`.
      if (source.readyState === EventSource.CLOSED) {
        this.#again(new Error("stream: the edge refused it, or could not be reached"));
      }
    };
  }

  #fetch(): void {
    const abort = new AbortController();
    this.#end = () => abort.abort();
    this.#read(abort).then(
      () => this.#again(),
      (error: unknown) => this.#again(error),
    );
  }

  /** Reads until the stream ends. */
  async #read(abort: AbortController): Promise<void> {
    const giveUp = () => abort.abort(new Error("stream: the edge has fallen silent"));
    let silence = later(giveUp, this.#edge.timeoutMs);
    try {
      const headers = { accept: "text/event-stream" };
      const response = await this.#edge.open(
        PATH,
        this.#lastEventId === "" ? headers : { ...headers, "last-event-id": this.#lastEventId },
        abort.signal,
      );
      if (!response.ok || response.body === null) {
        abort.abort();
        throw new Error(`stream: the edge answered ${response.status}`);
      }
      this.#opened();
      const events = new EventReader(this.#lastEventId);
      const text = new TextDecoder();
      const reader = response.body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(silence);
        silence = later(giveUp, SILENCE_MS);
        for (const { name, data } of events.push(text.decode(value, { stream: true })))
          this.#hear(name, data, events.lastEventId);
        this.#lastEventId = events.lastEventId;
        this.#retryMs = events.retryMs ?? this.#retryMs;
      }
    } finally {
      clearTimeout(silence);
    }
  }

  #opened(): void {
    this.#isOpen = !this.#isClosed;
    this.#n_failures = 0;
  }

  #hear(name: string, data: string, edition = this.#lastEventId): void {
    if (name !== "config" || this.#isClosed) return;
    try {
      const { generation } = JSON.parse(data) as { generation?: unknown };
      if (typeof generation === "number") this.#onNews({ generation, edition });
    } catch (error) {
      this.#edge.report(error);
    }
  }

  /** Opens it again after a while: `retry` is another one for each client, and so is the part of it that is left to chance. */
  #again(error?: unknown): void {
    this.#isOpen = false;
    if (this.#isClosed) return;
    if (error !== undefined) {
      this.#n_failures++;
      this.#edge.report(error);
    }
    const delay = Math.min(MAX_RETRY_MS, this.#retryMs * 2 ** this.#n_failures);
    this.#timer = later(() => this.open(), delay * (0.5 + Math.random() / 2));
  }
}
