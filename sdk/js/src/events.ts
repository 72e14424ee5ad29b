// Server-Sent Events out of a stream of text, as the HTML standard writes them down, for platforms without EventSource.

/** Characters of one line that are kept; the edge's are far shorter. */
const MAX_LINE = 65_536;

/** One event. */
export interface StreamEvent {
  readonly name: string;
  readonly data: string;
}

/** Takes text in pieces of any size, and gives the events that are complete. */
export class EventReader {
  /** What the edge wants to be told when the stream is opened again. */
  lastEventId: string;
  /** Milliseconds after which the edge wants it to be opened again. */
  retryMs: number | undefined;
  #rest = "";
  #name = "";
  #data: string[] = [];

  constructor(lastEventId: string) {
    this.lastEventId = lastEventId;
  }

  /** Events that end in this piece. */
  push(text: string): StreamEvent[] {
    // A line feed that belongs to a carriage return may be the first of the next piece.
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? "";
    if (this.#rest.length > MAX_LINE) throw new Error("stream: a line has no end");
    return lines.flatMap((line) => this.#take(line));
  }

  #take(line: string): StreamEvent[] {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.#name = value;
    else if (field === "data") this.#data.push(value);
    else if (field === "id" && !value.includes("\0")) this.lastEventId = value;
    else if (field === "retry" && /^\d+$/.test(value)) this.retryMs = Number(value);
    return [];
  }

  #dispatch(): StreamEvent[] {
    const event = { name: this.#name === "" ? "message" : this.#name, data: this.#data.join("\n") };
    const isEvent = this.#data.length > 0;
    this.#name = "";
    this.#data = [];
    return isEvent ? [event] : [];
  }
}
