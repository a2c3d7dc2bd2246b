// What the client needs of the place it runs in, so that tests can be that place.
import { openWebSocket, type OpenSocket } from "./web_socket.js";

export interface Surroundings {
  readonly openSocket: OpenSocket;
  /** A random number of [0, 1). */
  readonly chance: () => number;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  /** Calls back when it is worth a look whether there is a connection; returns what ends that. */
  readonly onWake: (callback: () => void) => () => void;
}

export const SURROUNDINGS: Surroundings = {
  openSocket: openWebSocket,
  chance: Math.random,
  now: () => performance.now(),
  onWake: watchPage,
};

/** The network is back, or the page is looked at again: timers of a hidden page run late. Elsewhere nothing happens. */
function watchPage(callback: () => void): () => void {
  if (typeof addEventListener !== "function") return () => undefined;
  const page = typeof document === "undefined" ? null : document;
  const seen = (): void => {
    if (page?.visibilityState === "visible") callback();
  };
  addEventListener("online", callback);
  page?.addEventListener("visibilitychange", seen);
  return () => {
    removeEventListener("online", callback);
    page?.removeEventListener("visibilitychange", seen);
  };
}
