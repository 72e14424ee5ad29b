/** The one way to the control plane: adds who asks and for which environment, and turns refusals into `Problem`s. */
import createClient, { type Middleware } from "openapi-fetch";
import { randomId } from "../lib/random";
import { asProblem, problemFrom } from "./problem";
import type { paths } from "./schema";
import { getSession, setSession, type Session } from "./session";
import type { Versioned } from "./types";

/** Headers of a request by someone who is not signed in yet, or who looks into another project. */
export function headersOf(session: Session): Record<string, string> {
  return {
    Authorization: `Bearer ${session.token}`,
    ...(session.project === "" ? {} : { "X-Project": session.project }),
    ...(session.environment === "" ? {} : { "X-Environment": session.environment }),
  };
}

/** What every request carries. */
const identify: Middleware = {
  onRequest({ request }) {
    const session = getSession();
    if (session !== null && !request.headers.has("Authorization")) {
      for (const [name, value] of Object.entries(headersOf(session))) request.headers.set(name, value);
    }
    if (request.method === "POST") request.headers.set("Idempotency-Key", randomId());
    if (request.method === "PATCH") request.headers.set("Content-Type", "application/merge-patch+json");
    return request;
  },
};

/** Rejects with a `Problem` for everything but success. */
const refuse: Middleware = {
  async onResponse({ request, response }) {
    if (response.ok) return;
    // The token was revoked or has expired: back to the sign-in page. Unless it is only being tried.
    const session = getSession();
    const tried = request.headers.get("Authorization");
    if (response.status === 401 && session !== null && tried === `Bearer ${session.token}`) setSession(null);
    const isJson = /[/+]json/.test(response.headers.get("content-type") ?? "");
    throw problemFrom(response, isJson ? await response.clone().json() : null);
  },
  onError({ error }) {
    // A request that was given up is no failure of the server.
    return error instanceof DOMException && error.name === "AbortError" ? error : asProblem(error);
  },
};

export const api = createClient<paths>({ baseUrl: window.location.origin });
api.use(identify, refuse);

/** The body of an answer. Refusals were thrown before, so there is one. */
export function bodyOf<T>({ data }: { data?: T }): T {
  if (data === undefined) throw asProblem(new Error("the answer has no body"));
  return data;
}

/** The body of an answer with its version. */
export function versionedOf<T>({ data, response }: { data?: T; response: Response }): Versioned<T> {
  return { data: bodyOf({ data } as { data?: T }), etag: response.headers.get("etag") ?? undefined };
}
