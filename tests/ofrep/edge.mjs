// An edge to be asked by OFREP clients: the Worker in workerd, or the native edge, with a proxy before it that checks its answers.

import { publish, scratch, serveStore, startNative, startWorker } from "../edge/harness.mjs";
import { startProxy } from "./proxy.mjs";

export { eventually, post, publish, ROOT, serve } from "../edge/harness.mjs";

export async function startEdge(t, kind = "worker") {
  const store = scratch(t);
  const fixture = publish(store, 1);
  let url;
  if (kind === "native") url = await startNative(t, store);
  else {
    const settings = {
      SORTITION_ENVIRONMENT: fixture.environment,
      SORTITION_LIST_SECRET: fixture.list_secret,
      SORTITION_CONFIG_URL: await serveStore(t, store),
      SORTITION_STREAM_REFRESH_INTERVAL_MS: "100",
    };
    url = (await startWorker(t, settings)).url;
  }
  return { ...fixture, store, edge: url, proxy: await startProxy(t, url) };
}
