// What wasm-bindgen makes of wasm/src/lib.rs, as far as it is used here.

/** A client form of a config, in the memory of the Wasm instance. */
export class Form {
  private constructor();
  /** Decodes a client form; throws a string that says why these bytes are none. */
  static decode(bytes: Uint8Array): Form;
  /** Answers `edge`, `not_found`, or the JSON of a decision. `context` is JSON. */
  evaluate(key: string, context: string, nowMs: number): string;
  /** Generation of the config. */
  readonly generation: number;
  /** Gives the memory back. */
  free(): void;
}

/** Makes the instance. To be called once. */
export function initSync(options: { module: WebAssembly.Module }): unknown;
