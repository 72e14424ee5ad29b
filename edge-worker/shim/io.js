// Input and output for the service (edge-worker/src/cloudflare/io.rs). No promise here is rejected: what goes wrong is answered as a text.

const POST_TIMEOUT_MS = 5000;

const settled = (work) => work().catch((error) => String(error?.message ?? error));

// A read that a bucket does not give an end to by itself is given up, not ended.
const inTime = (work, ms) => {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`the bucket took more than ${ms} ms`)), ms);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
};

async function readBucket(bucket, key) {
  const object = await bucket.get(key);
  return object === null ? undefined : new Uint8Array(await object.arrayBuffer());
}

// An object out of the bound bucket, else over HTTP; undefined when the store does not have it.
export const readObject = (env, base, key, timeoutMs) =>
  settled(async () => {
    if (env.CONFIGS) return inTime(readBucket(env.CONFIGS, key), timeoutMs);
    if (base === undefined) throw new Error("neither the R2 binding CONFIGS nor SORTITION_CONFIG_URL is set");
    const response = await fetch(`${base}/${key}`, { signal: AbortSignal.timeout(timeoutMs) });
    if (response.status === 200) return new Uint8Array(await response.arrayBuffer());
    await response.body?.cancel();
    if (response.status === 404) return undefined;
    throw new Error(`the store answered ${response.status}`);
  });

// `headers` are lines of `name: value`. Answers status, two headers and the body.
export const postEvents = (url, headers, body) =>
  settled(async () => {
    const pairs = headers.split("\n").map((line) => {
      const colon = line.indexOf(": ");
      return [line.slice(0, colon), line.slice(colon + 2)];
    });
    const response = await fetch(url, { method: "POST", headers: pairs, body, signal: AbortSignal.timeout(POST_TIMEOUT_MS) });
    const header = (name) => response.headers.get(name);
    return [response.status, header("content-type"), header("retry-after"), new Uint8Array(await response.arrayBuffer())];
  });

// A message for the queue that is bound as EXPOSURES.
export const putMessage = (env, message) => settled(async () => void (await env.EXPOSURES.send(message, { contentType: "bytes" })));

export const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
