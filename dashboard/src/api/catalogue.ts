/** Requests about everything that experiments refer to. */
import { api, bodyOf, headersOf, versionedOf } from "./client";
import type { Session } from "./session";
import type { Environment, Flag, Layer, Metric, Page, Project, Segment } from "./types";

/** Items on a page; lists here are short, so one page is mostly the whole. */
const LIMIT = 500;

interface Params {
  query: { limit: number; cursor?: string };
}

/** Every item of a list, page after page. */
async function whole<T>(load: (params: Params) => Promise<{ data?: Page<T> }>): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | undefined;
  do {
    const page = bodyOf(await load({ query: { limit: LIMIT, ...(cursor === undefined ? {} : { cursor }) } }));
    items.push(...page.data);
    cursor = page.next_cursor ?? undefined;
  } while (cursor !== undefined);
  return items;
}

const headers = (as: Session | undefined) => (as === undefined ? {} : headersOf(as));

export const listProjects = (signal: AbortSignal | null, as?: Session): Promise<Project[]> =>
  whole((params) => api.GET("/api/v1/projects", { params, signal, headers: headers(as) }));

export const listEnvironments = (signal: AbortSignal | null, as?: Session): Promise<Environment[]> =>
  whole((params) => api.GET("/api/v1/environments", { params, signal, headers: headers(as) }));

export const listLayers = (signal: AbortSignal): Promise<Layer[]> =>
  whole((params) => api.GET("/api/v1/layers", { params, signal }));

export const listMetrics = (signal: AbortSignal): Promise<Metric[]> =>
  whole((params) => api.GET("/api/v1/metrics", { params, signal }));

export const listSegments = (signal: AbortSignal): Promise<Segment[]> =>
  whole((params) => api.GET("/api/v1/segments", { params, signal }));

export const listFlags = (signal: AbortSignal): Promise<Flag[]> =>
  whole((params) => api.GET("/api/v1/flags", { params, signal }));

/** Switches a flag off, whatever else has changed about it: a kill switch must not fail on a stale page. */
export async function killFlag(key: string): Promise<void> {
  await api.POST("/api/v1/flags/{key}/kill", { params: { path: { key } } });
}

/** Switches a flag on again, as it is now. */
export async function enableFlag(key: string): Promise<void> {
  const params = { path: { key } };
  const { etag = "*" } = versionedOf(await api.GET("/api/v1/flags/{key}", { params }));
  const header = { "If-Match": etag };
  await api.PATCH("/api/v1/flags/{key}", { params: { ...params, header }, body: { enabled: true } });
}
