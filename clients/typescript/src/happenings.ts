// What the client tells, as one discriminated union, and who listens.
import type { ConnectionState } from "./connection.js";
import type { Refusal } from "./outbox.js";
import type { Heartbeat, MessageRejected, ResponseDelta, RunEvent, RunInput } from "./protocol.js";
import type { Run } from "./run.js";

/** One thing that happened. Events of a run come once each and in order. */
export type Happening =
  | { readonly type: "connection"; readonly connection: ConnectionState }
  /** A run is heard of for the first time, whoever sent its message. */
  | { readonly type: "run"; readonly run: Run }
  | { readonly type: "event"; readonly run: Run; readonly event: RunEvent }
  | { readonly type: "input"; readonly run: Run; readonly input: RunInput }
  | { readonly type: "delta"; readonly run: Run; readonly delta: ResponseDelta }
  | { readonly type: "heartbeat"; readonly run: Run; readonly heartbeat: Heartbeat }
  /** A message is durable: from here on its run reaches an end, whatever happens to this page. */
  | { readonly type: "accepted"; readonly run: Run; readonly clientMessageId: string }
  /** A message was refused; with `retryInMs` it is sent again, without it was refused for good. */
  | { readonly type: "refused"; readonly refusal: Refusal }
  /** The rest of a run cannot be had any more. */
  | { readonly type: "lost"; readonly run: Run; readonly code: MessageRejected["code"] };

export type HappeningOf<T extends Happening["type"]> = Extract<Happening, { readonly type: T }>;
export type Listener<T extends Happening["type"] = Happening["type"]> = (happening: HappeningOf<T>) => void;

/** Tells every listener; one that throws hurts neither the others nor the client. */
export class Happenings {
  readonly #listeners = new Set<Listener>();

  /** Returns what ends the listening. */
  add(listener: Listener): () => void {
    const own: Listener = (happening) => listener(happening);
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  tell(happening: Happening): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(happening);
      } catch (error) {
        queueMicrotask(() => {
          throw error; // shown where uncaught errors are
        });
      }
    }
  }
}
