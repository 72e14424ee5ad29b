import { useSyncExternalStore } from "react";
import { getSession, subscribeToSession, type Session } from "../api/session";

/** The session of this tab; renders again when it changes. */
export function useSession(): Session | null {
  return useSyncExternalStore(subscribeToSession, getSession);
}
