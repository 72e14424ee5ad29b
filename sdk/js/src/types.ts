/** A value that conditions can look at. Anything else counts as missing. */
export type AttributeValue = string | number | boolean | readonly (string | number | boolean)[];

/** Whom a decision is for. */
export interface Context {
  /** Unit type → id, such as `{ user_id: "u-1" }`. */
  readonly units: Readonly<Record<string, string>>;
  /** What else is known, such as `{ country: "DE" }`. */
  readonly attributes?: Readonly<Record<string, AttributeValue | null | undefined>>;
}

/** The answer for one key. */
export interface Decision {
  readonly key: string;
  /** The variant; `null` leaves the caller with its default. */
  readonly variant: string | null;
  /** The variant's value, as JSON has it. */
  readonly value: unknown;
  /** Whether the unit takes part in an experiment. */
  readonly enrolled: boolean;
  /** Why: `split`, `targeting`, `not_found`, … */
  readonly reason: string;
  /** Generation of the config that decided; `null` when none did. */
  readonly generation: number | null;
  /** Who decided: this process, the edge, or nobody. */
  readonly source: "local" | "edge" | "none";
  /** What {@link Client.expose} posts for a decision of the edge. */
  readonly exposureToken?: string;
}

/** The part of `fetch` that is used. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** Where the edge is, and how it is talked to. */
export interface EdgeOptions {
  /** Base URL of the edge, such as `https://edge.example.com`. */
  readonly edge: string;
  /** SDK key. In browsers a client key, `sk_client_…`. */
  readonly sdkKey: string;
  /** Replaces the platform's `fetch`. */
  readonly fetch?: Fetch;
  /** Milliseconds that one request may take; 5000 by default. */
  readonly timeoutMs?: number;
  /** Told of everything that goes wrong; nothing is thrown for it. */
  readonly onError?: (error: Error) => void;
}

/** How exposures are sent. */
export interface ExposureOptions extends EdgeOptions {
  /** Milliseconds in which exposures gather before they are sent; 1000 by default. */
  readonly flushIntervalMs?: number;
}

/** How a client is made. */
export interface ClientOptions extends ExposureOptions {
  /** URL of the client form; `{edge}/v1/config-bundle` by default. */
  readonly bundleUrl?: string;
  /**
   * Milliseconds between two looks for a newer config; 30 000 by default, 0 for none. While a stream is open only every tenth look is made.
   */
  readonly refreshIntervalMs?: number;
  /** Whether a stream of the edge is kept open, which tells of a newer config at once; true unless `refreshIntervalMs` is 0. */
  readonly stream?: boolean;
  /** Told of the generation of every config that is taken, the first included. */
  readonly onConfig?: (generation: number) => void;
  /** Whether the edge keeps the visitor's id and sticky variants in its cookie; the edge must be of the page's own site. */
  readonly cookie?: boolean;
  /** The evaluator, where it is not to be loaded from beside the package: compiled, or its bytes. */
  readonly wasm?: WebAssembly.Module | BufferSource;
}
