// Tickets: the right to open one connection, fetched anew for each. No bearer token ever stands in a socket's URL.
import { CannotConnect, SignedOut } from "./errors.js";

/** Returns a new ticket, null where the server needs none; throws SignedOut to stop the trying. */
export type TicketSource = (signal: AbortSignal) => Promise<string | null>;

export interface TicketOptions {
  /** The user's token, sent as a bearer to that place only; `renew` is true where the last one was refused. */
  readonly token?: (renew: boolean) => Promise<string> | string;
  /** Whom to ask a ticket for, where the server lets users be named: tests. */
  readonly user?: string;
  readonly fetch?: typeof fetch;
}

/** Returns the addresses of a server's socket and of the ticket endpoint beside it. */
export function addresses(url: string | URL): { readonly socket: string; readonly ticket: string } {
  const socket = new URL(url);
  const secure = { "https:": true, "wss:": true, "http:": false, "ws:": false }[socket.protocol];
  if (secure === undefined) throw new CannotConnect(`Not the URL of a server: ${socket.protocol}`);
  const isPage = socket.protocol.startsWith("http");
  socket.protocol = secure ? "wss:" : "ws:";
  socket.hash = "";
  socket.pathname = socket.pathname.replace(/\/+$/, "");
  if ((isPage && !socket.pathname.endsWith("/ws")) || socket.pathname === "/") {
    socket.pathname = `${socket.pathname.replace(/\/$/, "")}/ws`;
  }
  const ticket = new URL(socket);
  ticket.protocol = secure ? "https:" : "http:";
  ticket.pathname = socket.pathname.replace(/[^/]*$/, "ticket");
  ticket.search = "";
  return { socket: socket.href, ticket: ticket.href };
}

/** Returns what fetches tickets from an endpoint: `POST`, answered by `{"ticket": ...}`. */
export function ticketFrom(url: string | URL, options: TicketOptions = {}): TicketSource {
  const ask = async (renew: boolean, signal: AbortSignal): Promise<Response> => {
    const headers = new Headers();
    if (options.token !== undefined) headers.set("Authorization", `Bearer ${await options.token(renew)}`);
    const body = options.user === undefined ? null : JSON.stringify({ user: options.user });
    // Not to where it may be sent on to: a token is for this place only.
    return (options.fetch ?? fetch)(url, { method: "POST", headers, body, signal, redirect: "error" });
  };
  return async (signal) => {
    let reply = await ask(false, signal);
    if (reply.status === 401 && options.token !== undefined) reply = await ask(true, signal);
    if (reply.status === 401) throw new SignedOut("The server does not know this user any more. Sign in again.");
    const answer: unknown = reply.ok ? await reply.json() : null;
    if (typeof answer === "object" && answer !== null && "ticket" in answer && typeof answer.ticket === "string") {
      return answer.ticket;
    }
    throw new CannotConnect(`The server gave no ticket (HTTP ${reply.status}).`);
  };
}
