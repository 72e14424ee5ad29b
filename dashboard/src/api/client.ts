/** The one way to the control plane: adds who asks and for which environment, and turns refusals into `Problem`s. */
import { randomId } from "../lib/random";
import { asProblem, problemFrom } from "./problem";
import { getSession, setSession, type Session } from "./session";
import type { Versioned } from "./types";

type Query = Record<string, string | number | boolean | undefined>;

interface Options {
  query?: Query | undefined;
  body?: unknown;
  ifMatch?: string | undefined;
  /** Asks as someone who is not signed in yet. */
  as?: Session | undefined;
  signal?: AbortSignal | undefined;
}

function url(path: string, query: Query = {}): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined && value !== "") params.set(key, String(value));
  }
  const search = params.toString();
  return `/api/v1${path}${search === "" ? "" : `?${search}`}`;
}

function headers(method: string, options: Options): Headers {
  const result = new Headers({ Accept: "application/json, application/problem+json" });
  const session = options.as ?? getSession();
  if (session !== null) {
    result.set("Authorization", `Bearer ${session.token}`);
    if (session.project !== "") result.set("X-Project", session.project);
    if (session.environment !== "") result.set("X-Environment", session.environment);
  }
  if (options.body !== undefined) {
    result.set("Content-Type", method === "PATCH" ? "application/merge-patch+json" : "application/json");
  }
  if (options.ifMatch !== undefined) result.set("If-Match", options.ifMatch);
  if (method === "POST") result.set("Idempotency-Key", randomId());
  return result;
}

/** Sends one request. Rejects with a `Problem` for everything but success. */
export async function send<T>(method: string, path: string, options: Options = {}): Promise<Versioned<T>> {
  let response: Response;
  let body: unknown;
  try {
    response = await fetch(url(path, options.query), {
      method,
      headers: headers(method, options),
      body: options.body === undefined ? null : JSON.stringify(options.body),
      signal: options.signal ?? null,
    });
    const text = await response.text();
    const isJson = /[/+]json/.test(response.headers.get("content-type") ?? "");
    body = isJson && text !== "" ? (JSON.parse(text) as unknown) : null;
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw asProblem(error);
  }
  if (!response.ok) {
    // The token was revoked or has expired: back to the sign-in page.
    if (response.status === 401 && options.as === undefined) setSession(null);
    throw problemFrom(response, body);
  }
  return { data: body as T, etag: response.headers.get("etag") ?? undefined };
}
