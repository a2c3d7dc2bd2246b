// What a client is made with.
import type { Door } from "./line.js";
import { PACE, type Pace } from "./pace.js";
import type { MessageStore } from "./store.js";
import { type Surroundings, SURROUNDINGS } from "./surroundings.js";
import { addresses, type TicketSource, ticketFrom } from "./ticket.js";

export interface ClientOptions {
  /** `https://host`, or the socket's own `wss://host/path`. */
  readonly url: string | URL;
  /** Where tickets come from: `POST /ticket` beside the socket unless told, null for a server that needs none. */
  readonly ticket?: TicketSource | null;
  /** Whether the ticket goes into the socket's URL, for a gateway that answers no subprotocol. */
  readonly ticketInQuery?: boolean;
  /** Where messages wait for their answer; in memory unless told. One store belongs to one user. */
  readonly store?: MessageStore;
  readonly pace?: Partial<Pace>;
  readonly surroundings?: Partial<Surroundings>;
}

export interface SendOptions {
  /** The thread to go on with; a new one without. */
  readonly threadId?: string;
  /** An id of the caller's, to send the same message safely again. */
  readonly clientMessageId?: string;
}

/** Returns options with nothing left open. */
export function completed(options: ClientOptions): { door: Door; pace: Pace; around: Surroundings } {
  const { socket, ticket } = addresses(options.url);
  const pace = { ...PACE, ...options.pace };
  const around = { ...SURROUNDINGS, ...options.surroundings };
  const door = {
    url: socket,
    ticket: options.ticket === null ? () => Promise.resolve(null) : (options.ticket ?? ticketFrom(ticket)),
    ticketInQuery: options.ticketInQuery ?? false,
    openSocket: around.openSocket,
    connectMs: pace.connectMs,
  };
  return { door, pace, around };
}
