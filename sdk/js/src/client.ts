// The client: decides what it can by itself, asks the edge for the rest, and reports what was shown.

import { Config, start } from "./config.js";
import { Edge, later } from "./edge.js";
import { ExposureQueue } from "./exposures.js";
import { RemoteDecisions } from "./remote.js";
import type { Remote } from "./remote.js";
import { ConfigStream } from "./stream.js";
import type { News } from "./stream.js";
import type { ClientOptions, Context, Decision } from "./types.js";

const DEFAULT_REFRESH_INTERVAL_MS = 30_000;
/** Looks for a newer config of which one is made while a stream is open: connections can die without anybody being told. */
const LOOKS_SPARED = 10;
/** Milliseconds before each look for a config that a stream has told of: the instance of the edge that is asked may still be fetching it. */
const FOLLOW_MS = [0, 100, 200, 400, 800, 1600, 3200];

interface LocalDecision {
  readonly variant: string | null;
  readonly value: unknown;
  readonly enrolled: boolean;
  readonly reason: string;
}

/** Decides keys for contexts. Nothing here throws: in doubt a decision without a variant leaves the caller with its default. */
export class Client {
  /** Exposures on their way. */
  readonly exposures: ExposureQueue;
  readonly #edge: Edge;
  readonly #config: Config;
  readonly #remote: RemoteDecisions;
  readonly #refreshIntervalMs: number;
  readonly #stream: ConfigStream | undefined;
  /** Contexts of local decisions, for their exposure. */
  readonly #contexts = new WeakMap<Decision, string>();
  readonly #exposed = new WeakSet<Decision>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #n_spared = 0;
  #news: News | undefined;
  #isFollowing = false;
  #isClosed = false;

  /** Use `createClient`, which also loads the evaluator and the first config. */
  constructor(options: ClientOptions) {
    this.#edge = new Edge(options);
    this.#config = new Config(this.#edge, options.bundleUrl ?? "/v1/config-bundle", options.onConfig);
    this.#remote = new RemoteDecisions(this.#edge, options.cookie ?? false);
    this.exposures = new ExposureQueue(options, this.#edge);
    this.#refreshIntervalMs = options.refreshIntervalMs ?? DEFAULT_REFRESH_INTERVAL_MS;
    if (options.stream ?? this.#refreshIntervalMs > 0) {
      this.#stream = new ConfigStream(this.#edge, (news) => this.#hear(news));
    }
  }

  /** Generation of the config in use; `null` before the first. */
  get generation(): number | null {
    return this.#config.generation;
  }

  /** Whether a stream is open, so that a newer config arrives within a second. */
  get isStreaming(): boolean {
    return this.#stream?.isOpen ?? false;
  }

  /** Loads the evaluator and the first config. Without either, all keys are asked of the edge. */
  async load(module: Promise<WebAssembly.Module>): Promise<void> {
    try {
      start(await module);
      await this.#config.refresh();
    } catch (error) {
      this.#edge.report(error);
      return;
    }
    this.#schedule();
    if (!this.#isClosed) this.#stream?.open();
  }

  /** Looks for a newer config now; answers whether one was taken. */
  refresh(): Promise<boolean> {
    return this.#config.refresh();
  }

  /** Decides a key: here if the config allows it, else at the edge. Nothing is reported as shown. */
  async evaluate(key: string, context: Context): Promise<Decision> {
    const json = write(context);
    const local = this.#evaluateLocal(key, json);
    if (local !== undefined) return local;
    const remote = await this.#remote.ask(key, json);
    return remote === undefined ? nothing(key, null) : fromRemote(key, remote);
  }

  /** Decides a key at once; `undefined` when only the edge can, or no config is there yet. */
  evaluateLocal(key: string, context: Context): Decision | undefined {
    return this.#evaluateLocal(key, write(context));
  }

  /**
   * Reports that the variant of a decision is being shown. Decisions of the edge bring a token; for those made here the
   * edge is asked for one, and the exposure counts only if it decides the same.
   */
  async expose(decision: Decision): Promise<void> {
    if (!decision.enrolled || this.#exposed.has(decision)) return;
    this.#exposed.add(decision);
    if (decision.exposureToken !== undefined) {
      this.exposures.add(decision.exposureToken);
      return;
    }
    const context = this.#contexts.get(decision);
    if (context === undefined) return;
    const remote = await this.#remote.ask(decision.key, context);
    const token = remote?.decision.exposure_token;
    if (remote === undefined) {
      // It may be tried again.
      this.#exposed.delete(decision);
    } else if (token !== undefined && remote.decision.variant === decision.variant) {
      this.exposures.add(token);
    } else {
      const found = remote.decision.variant ?? "nothing";
      this.#edge.report(new Error(`exposure of ${decision.key}: the edge has decided ${found} meanwhile`));
    }
  }

  /** Sends what waits, ends the stream and stops refreshing. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#stream?.close();
    await this.exposures.close();
    this.#config.close();
  }

  #hear(news: News): void {
    this.#news = news;
    if (this.#isFollowing) return;
    this.#isFollowing = true;
    void this.#follow().finally(() => {
      this.#isFollowing = false;
    });
  }

  /** Whether the stream has told of a newer config than the one in use. */
  get #isBehind(): boolean {
    return this.#news !== undefined && this.#news.generation > (this.generation ?? 0);
  }

  /** Fetches what the stream has told of. What cannot be had in a few seconds is found by a later look. */
  async #follow(): Promise<void> {
    for (const delay of FOLLOW_MS) {
      await new Promise<void>((resolve) => later(resolve, delay));
      if (this.#isClosed || !this.#isBehind) return;
      await this.#config.refresh(this.#news?.edition);
    }
  }

  #schedule(): void {
    if (this.#refreshIntervalMs <= 0 || this.#isClosed) return;
    // A little earlier or later each time, so that a thousand pages do not ask at once.
    const delay = this.#refreshIntervalMs * (0.9 + Math.random() * 0.2);
    this.#timer = later(() => void this.#look().then(() => this.#schedule()), delay);
  }

  async #look(): Promise<void> {
    if (this.isStreaming && !this.#isBehind && ++this.#n_spared < LOOKS_SPARED) return;
    this.#n_spared = 0;
    await this.#config.refresh();
  }

  #evaluateLocal(key: string, context: string): Decision | undefined {
    const text = this.#config.evaluate(key, context, Date.now());
    if (text === undefined || text === "edge") return undefined;
    if (text === "not_found") return nothing(key, this.generation);
    const found = JSON.parse(text) as LocalDecision;
    const decision: Decision = { key, ...found, generation: this.generation, source: "local" };
    if (decision.enrolled) this.#contexts.set(decision, context);
    return decision;
  }
}

function write({ units, attributes = {} }: Context): string {
  return JSON.stringify({ units, attributes });
}

function nothing(key: string, generation: number | null): Decision {
  const source = generation === null ? "none" : "local";
  return { key, variant: null, value: null, enrolled: false, reason: "not_found", generation, source };
}

function fromRemote(key: string, { generation, decision }: Remote): Decision {
  const { variant, value, enrolled, reason, exposure_token: token } = decision;
  const base = { key, variant, value, enrolled, reason, generation, source: "edge" } as const;
  return token === undefined ? base : { ...base, exposureToken: token };
}
