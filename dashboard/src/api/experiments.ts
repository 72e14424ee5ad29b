/** Requests about experiments. */
import { api, bodyOf, versionedOf } from "./client";
import type { Experiment, ExperimentDefinition, Page, Results, Versioned } from "./types";

export type ExperimentAction = "start" | "pause" | "resume" | "complete" | "archive";

/** What moves an experiment on in its life, with what it may be told. */
export type Move =
  | { action: "start"; acknowledge: string[] }
  | { action: "complete"; ship: string | null }
  | { action: "pause" | "resume" | "archive" };

export interface ListExperiments {
  q?: string | undefined;
  status?: string | undefined;
  cursor?: string | undefined;
  limit: number;
}

/** Without what is not set. */
function given<T extends object>(query: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(query).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> };
}

export async function listExperiments(
  query: ListExperiments,
  signal: AbortSignal,
): Promise<Page<Experiment>> {
  return bodyOf(await api.GET("/api/v1/experiments", { params: { query: given(query) }, signal }));
}

export async function loadExperiment(id: string, signal: AbortSignal): Promise<Versioned<Experiment>> {
  return versionedOf(await api.GET("/api/v1/experiments/{id}", { params: { path: { id } }, signal }));
}

/** Sends a draft as it was entered: what is missing or wrong in it is for the server to say. */
export async function createExperiment(draft: Record<string, unknown>): Promise<Experiment> {
  const body = draft as unknown as ExperimentDefinition;
  // Only a dry run answers anything else.
  return bodyOf(await api.POST("/api/v1/experiments", { body })) as Experiment;
}

/** Moves an experiment on, provided that it is still at the version that the author has seen. */
export async function moveExperiment(id: string, move: Move, etag: string | undefined): Promise<Experiment> {
  const params = { path: { id } };
  const headers = etag === undefined ? {} : { "If-Match": etag };
  switch (move.action) {
    case "start": {
      const body = { acknowledge: move.acknowledge };
      return bodyOf(await api.POST("/api/v1/experiments/{id}/start", { params, headers, body }));
    }
    case "complete": {
      const body = { ship: move.ship };
      return bodyOf(await api.POST("/api/v1/experiments/{id}/complete", { params, headers, body }));
    }
    case "pause":
      return bodyOf(await api.POST("/api/v1/experiments/{id}/pause", { params, headers }));
    case "resume":
      return bodyOf(await api.POST("/api/v1/experiments/{id}/resume", { params, headers }));
    case "archive":
      return bodyOf(await api.POST("/api/v1/experiments/{id}/archive", { params, headers }));
  }
}

export async function loadResults(id: string, peek: boolean, signal: AbortSignal): Promise<Results> {
  const query = peek ? { peek } : {};
  const params = { path: { id }, query };
  return bodyOf(await api.GET("/api/v1/experiments/{id}/results", { params, signal }));
}
