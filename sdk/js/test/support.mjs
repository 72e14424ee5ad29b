// A Worker over a published config, with a collector behind it.

import { publish, scratch, serveStore, startCollector, startWorker } from "../../../tests/edge/harness.mjs";

export * from "../../../tests/edge/harness.mjs";

// `settings` are more variables of the Worker.
export async function startEdge(t, generation = 1, settings = {}) {
  const store = scratch(t);
  const keys = publish(store, generation);
  const faults = {};
  const answers = {};
  const collector = await startCollector(t, answers);
  const worker = await startWorker(t, {
    SORTITION_ENVIRONMENT: keys.environment,
    SORTITION_LIST_SECRET: keys.list_secret,
    SORTITION_CONFIG_URL: await serveStore(t, store, faults),
    SORTITION_COLLECTOR_URL: collector.url,
    ...settings,
  });
  return { url: worker.url, store, keys, faults, answers, collector };
}

// The exposures that the collector has, without what differs from run to run.
export const exposures = ({ collector }) =>
  collector
    .events()
    .filter((event) => event.type === "exposure")
    .map(({ experiment, variant, units }) => ({ experiment, variant, units }));
