/** Who is signed in, and on which project and environment they work. Lives as long as the browser tab. */

const KEY = "sortition.session";

/** A signed-in tab. */
export interface Session {
  /** The API token, sent as a bearer token with every request. */
  token: string;
  project: string;
  environment: string;
}

/** What an address names: links lead into their project and environment, whoever opens them. */
export interface Place {
  project?: string;
  environment?: string;
}

/** The place that the address of the page names. */
export function placeInAddress(): Place {
  const search = new URLSearchParams(window.location.search);
  const project = search.get("project");
  const environment = search.get("environment");
  return { ...(project ? { project } : {}), ...(environment ? { environment } : {}) };
}

type Listener = () => void;

const listeners = new Set<Listener>();
let current: Session | null = read();

function read(): Session | null {
  try {
    const stored = window.sessionStorage.getItem(KEY);
    return stored === null ? null : { ...(JSON.parse(stored) as Session), ...placeInAddress() };
  } catch {
    return null;
  }
}

/** The session of this tab, or null. */
export function getSession(): Session | null {
  return current;
}

/** Replaces the session and tells every subscriber. Null signs out. */
export function setSession(next: Session | null): void {
  current = next;
  try {
    if (next === null) window.sessionStorage.removeItem(KEY);
    else window.sessionStorage.setItem(KEY, JSON.stringify(next));
  } catch {
    // Storage may be switched off: the session then lasts until the page is reloaded.
  }
  for (const listener of listeners) listener();
}

/** For `useSyncExternalStore`. */
export function subscribeToSession(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
