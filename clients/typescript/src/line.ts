// One attempt at a connection, from its ticket to its end; it reports each turn once.
import { CannotConnect, SignedOut } from "./errors.js";
import type { TicketSource } from "./ticket.js";
import type { OpenSocket, Socket } from "./web_socket.js";

const PROTOCOL = "playbyplay.v1";

/** How a server is reached. */
export interface Door {
  readonly url: string;
  readonly ticket: TicketSource;
  /** Whether the ticket goes into the socket's URL, for a gateway that answers no subprotocol. */
  readonly ticketInQuery: boolean;
  readonly openSocket: OpenSocket;
  readonly connectMs: number;
}

export interface LineListener {
  opened(line: Line): void;
  text(line: Line, text: string): void;
  /** It ended, or never stood; `error` says why where that is known. */
  ended(line: Line, error: SignedOut | CannotConnect): void;
}

/** A connection that is being opened, stands, or has ended. */
export class Line {
  readonly #door: Door;
  readonly #listener: LineListener;
  readonly #abort = new AbortController();
  readonly #overdue: ReturnType<typeof setTimeout>;
  #socket: Socket | null = null;
  #ended = false;

  constructor(door: Door, listener: LineListener) {
    this.#door = door;
    this.#listener = listener;
    this.#overdue = setTimeout(() => this.#end("The server did not answer in time."), door.connectMs);
    void this.#open();
  }

  send(text: string): void {
    this.#socket?.send(text);
  }

  /** Ends it without a word. */
  abandon(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#overdue);
    this.#abort.abort();
    this.#socket?.close();
  }

  async #open(): Promise<void> {
    await null; // whoever made this line has to know it before it may fail
    let ticket: string | null;
    try {
      ticket = await this.#door.ticket(this.#abort.signal);
    } catch (error) {
      this.#end(error instanceof SignedOut || error instanceof CannotConnect ? error : "No ticket could be fetched.");
      return;
    }
    if (this.#ended) return;
    try {
      this.#connect(ticket);
    } catch {
      this.#end("This place does not let a connection be opened."); // a page over TLS, a server without
    }
  }

  #connect(ticket: string | null): void {
    const { url, protocols } = this.#handshake(ticket);
    this.#socket = this.#door.openSocket(url, protocols, {
      opened: (protocol) => this.#opened(protocol),
      text: (text) => this.#listener.text(this, text),
      closed: () => this.#end("The connection ended."),
    });
  }

  #handshake(ticket: string | null): { url: string; protocols: string[] } {
    const { url, ticketInQuery } = this.#door;
    if (ticket === null) return { url, protocols: [PROTOCOL] };
    if (!ticketInQuery) return { url, protocols: [PROTOCOL, `ticket.${ticket}`] };
    const address = new URL(url);
    address.searchParams.set("ticket", ticket);
    return { url: address.href, protocols: [PROTOCOL] };
  }

  #opened(protocol: string): void {
    clearTimeout(this.#overdue);
    if (protocol !== PROTOCOL && !this.#door.ticketInQuery) this.#end(`The server does not speak ${PROTOCOL}.`);
    else this.#listener.opened(this);
  }

  #end(reason: string | SignedOut | CannotConnect): void {
    if (this.#ended) return;
    this.abandon();
    this.#listener.ended(this, typeof reason === "string" ? new CannotConnect(reason) : reason);
  }
}
