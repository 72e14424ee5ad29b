/** Requests about experiments. */
import { send } from "./client";
import type { Experiment, Page, Results, Versioned } from "./types";

export type ExperimentAction = "start" | "pause" | "resume" | "complete" | "archive";

export interface ListExperiments {
  q?: string | undefined;
  status?: string | undefined;
  cursor?: string | undefined;
  limit?: number | undefined;
}

const path = (id: string) => `/experiments/${encodeURIComponent(id)}`;

export async function listExperiments(
  query: ListExperiments,
  signal?: AbortSignal,
): Promise<Page<Experiment>> {
  return (await send<Page<Experiment>>("GET", "/experiments", { query: { ...query }, signal })).data;
}

export function loadExperiment(id: string, signal?: AbortSignal): Promise<Versioned<Experiment>> {
  return send<Experiment>("GET", path(id), { signal });
}

export async function createExperiment(body: unknown): Promise<Experiment> {
  return (await send<Experiment>("POST", "/experiments", { body })).data;
}

/** Moves an experiment on in its life, provided that it is still at the version that the author has seen. */
export function moveExperiment(
  id: string,
  action: ExperimentAction,
  etag: string | undefined,
  body?: unknown,
): Promise<Versioned<Experiment>> {
  return send<Experiment>("POST", `${path(id)}/${action}`, { ifMatch: etag, body });
}

export async function loadResults(id: string, peek: boolean, signal?: AbortSignal): Promise<Results> {
  return (await send<Results>("GET", `${path(id)}/results`, { query: { peek: peek || undefined }, signal }))
    .data;
}
