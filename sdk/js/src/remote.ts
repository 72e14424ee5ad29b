// Keys that only the edge can decide. Keys of one context that are asked for in the same turn share a request.

import type { Edge } from "./edge.js";

/** A decision as the edge writes it. */
export interface RemoteDecision {
  readonly variant: string | null;
  readonly value: unknown;
  readonly enrolled: boolean;
  readonly reason: string;
  readonly exposure_token?: string;
}

/** What the edge answered for a key. */
export interface Remote {
  readonly generation: number | null;
  readonly decision: RemoteDecision;
}

interface Answer {
  readonly generation: number | null;
  readonly decisions: Readonly<Record<string, RemoteDecision>>;
}

/** Keys of one request. The edge takes a thousand. */
const MAX_KEYS = 1000;

/** Asks the edge, with exposures deferred: what is asked for is not yet shown. */
export class RemoteDecisions {
  readonly #edge: Edge;
  readonly #cookie: boolean;
  readonly #open = new Map<string, { keys: Set<string>; answer: Promise<Answer | undefined> }>();

  /** `cookie`: whether the edge's identity cookie is to take part. */
  constructor(edge: Edge, cookie: boolean) {
    this.#edge = edge;
    this.#cookie = cookie;
  }

  /** The edge's decision; `undefined` when it could not be asked. `context` is JSON of units and attributes. */
  async ask(key: string, context: string): Promise<Remote | undefined> {
    let request = this.#open.get(context);
    if (request === undefined || request.keys.size >= MAX_KEYS) {
      const keys = new Set<string>();
      request = { keys, answer: Promise.resolve().then(() => this.#send(context, keys)) };
      this.#open.set(context, request);
    }
    request.keys.add(key);
    const answer = await request.answer;
    const decision = answer?.decisions[key];
    return answer === undefined || decision === undefined
      ? undefined
      : { generation: answer.generation, decision };
  }

  async #send(context: string, keys: Set<string>): Promise<Answer | undefined> {
    if (this.#open.get(context)?.keys === keys) this.#open.delete(context);
    const asked = { ...(JSON.parse(context) as object), keys: [...keys], exposure: "deferred" };
    try {
      const response = await this.#edge.send("/v1/evaluate", {
        method: "POST",
        headers: { "content-type": "application/json" },
        ...(this.#cookie
          ? { credentials: "include", body: JSON.stringify({ ...asked, cookie: true }) }
          : { body: JSON.stringify(asked) }),
      });
      if (!response.ok) throw new Error(`evaluate: the edge answered ${response.status}`);
      return (await response.json()) as Answer;
    } catch (error) {
      this.#edge.report(error);
      return undefined;
    }
  }
}
