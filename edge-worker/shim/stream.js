// Streams of events (`GET /v1/stream`). What is said when is decided in Rust (edge-worker/src/stream); here it is waited and written.
//
// Each stream is one request with a life of its own: it looks at the isolate's memory four times a second, and reads the store itself
// when that is due and no other request of the isolate is at it.

import { keepCopies } from "./copies.js";
import { open_stream, refresh_environment } from "./edge_worker.js";

const HEADER_BYTES = 8;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// The answer to a request for a stream. `shell` is what it shares with the other requests: `respond`, `replaceInstance` and `epoch`, the
// number of the Wasm instance.
export function stream(request, head, env, shell) {
  const events = open_stream(`${head}\n${request.headers.get("last-event-id") ?? ""}`, Date.now());
  if (events === undefined) throw new Error("the stream could not be opened");
  const { epoch } = shell;
  let isOpen = true;
  const end = () => {
    if (!isOpen) return;
    isOpen = false;
    // An instance that was replaced took its streams with it.
    if (shell.epoch === epoch) events.free();
  };
  // A client that leaves: its request may be dropped before `cancel` below is called.
  request.signal?.addEventListener("abort", end);
  // Waits until there is something to send; nothing when the stream is over.
  const next = async () => {
    while (isOpen && shell.epoch === epoch) {
      const beat = events.advance(Date.now());
      if (beat.length > HEADER_BYTES) return beat.subarray(HEADER_BYTES);
      if (beat[0] === 1) return undefined;
      if (beat[1] === 1) await refresh_environment(env, events.refresh()).then(keepCopies);
      else await sleep(beat[4] | (beat[5] << 8) | (beat[6] << 16) | (beat[7] << 24));
    }
    return undefined;
  };
  const body = new ReadableStream(
    {
      async pull(controller) {
        try {
          const bytes = await next();
          if (bytes !== undefined) controller.enqueue(bytes);
          else if (isOpen) controller.close();
          if (bytes === undefined) end();
        } catch (error) {
          // The client connects again, to the next instance.
          isOpen = false;
          shell.replaceInstance(error);
          controller.close();
        }
      },
      cancel: end,
    },
    { highWaterMark: 0 },
  );
  const { status, headers } = shell.respond(events.head(), request);
  return new Response(body, { status, headers });
}
