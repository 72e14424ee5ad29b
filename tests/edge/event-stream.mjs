// A reader of Server-Sent Events for the tests: what arrives, as it arrives, comments and `retry` too.

export async function openStream(t, url, headers = {}) {
  const abort = new AbortController();
  t.after(() => abort.abort());
  const response = await fetch(url, { headers, signal: abort.signal });
  const blocks = [];
  let isOver = false;
  let text = "";
  const read = async () => {
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk, { stream: true });
      for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
        blocks.push(parse(text.slice(0, end)));
        text = text.slice(end + 2);
      }
    }
  };
  const reading = read()
    .catch(() => {})
    .finally(() => (isOver = true));
  return {
    response,
    blocks,
    get isOver() {
      return isOver;
    },
    // Events with data, perhaps of one name only.
    events: (name) => blocks.filter((block) => block.data !== undefined && (name === undefined || block.event === name)),
    close: async () => {
      abort.abort();
      await reading;
    },
  };
}

function parse(block) {
  const fields = Object.fromEntries(
    block.split("\n").map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1).trimStart()];
    }),
  );
  return { ...fields, at: performance.now(), json: fields.data === undefined ? undefined : JSON.parse(fields.data) };
}
