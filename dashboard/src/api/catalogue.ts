/** Requests about everything that experiments refer to. */
import { send } from "./client";
import type { Session } from "./session";
import type { Environment, Flag, Layer, Metric, Page, Project, Segment, Versioned } from "./types";

/** Lists here are short: pages of the largest size. */
const WHOLE = { limit: 500 };

async function list<T>(path: string, signal?: AbortSignal, as?: Session): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | undefined;
  do {
    const { data: page } = await send<Page<T>>("GET", path, { query: { ...WHOLE, cursor }, signal, as });
    items.push(...page.data);
    cursor = page.next_cursor ?? undefined;
  } while (cursor !== undefined);
  return items;
}

export const listProjects = (signal?: AbortSignal, as?: Session) => list<Project>("/projects", signal, as);
export const listEnvironments = (signal?: AbortSignal, as?: Session) =>
  list<Environment>("/environments", signal, as);
export const listLayers = (signal?: AbortSignal) => list<Layer>("/layers", signal);
export const listMetrics = (signal?: AbortSignal) => list<Metric>("/metrics", signal);
export const listSegments = (signal?: AbortSignal) => list<Segment>("/segments", signal);
export const listFlags = (signal?: AbortSignal) => list<Flag>("/flags", signal);

const flagPath = (key: string) => `/flags/${encodeURIComponent(key)}`;

/** Switches a flag off, whatever else has changed about it: a kill switch must not fail on a stale page. */
export function killFlag(key: string): Promise<Versioned<Flag>> {
  return send<Flag>("POST", `${flagPath(key)}/kill`);
}

/** Switches a flag on again, as it is now. */
export async function enableFlag(key: string): Promise<Versioned<Flag>> {
  const { etag } = await send<Flag>("GET", flagPath(key));
  return send<Flag>("PATCH", flagPath(key), { ifMatch: etag, body: { enabled: true } });
}
