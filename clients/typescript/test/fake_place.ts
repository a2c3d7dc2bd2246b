// A place for a client to run in, in virtual time: its sockets, its chance, and what wakes it.
import { vi } from "vitest";
import { PlaybyplayClient } from "../src/client.js";
import type { Happening } from "../src/happenings.js";
import type { ClientOptions } from "../src/options.js";
import type { ClientFrame, ServerFrame } from "../src/protocol.js";
import type { Surroundings } from "../src/surroundings.js";
import type { Socket, SocketListener } from "../src/web_socket.js";

/** The server's end of one socket. */
export class FakeSocket implements Socket {
  readonly url: string;
  readonly protocols: readonly string[];
  readonly sent: ClientFrame[] = [];
  isClosed = false;
  readonly #listener: SocketListener;

  constructor(url: string, protocols: readonly string[], listener: SocketListener) {
    this.url = url;
    this.protocols = protocols;
    this.#listener = listener;
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text) as ClientFrame);
  }

  close(): void {
    this.isClosed = true;
  }

  open(protocol = "playbyplay.v1"): void {
    this.#listener.opened(protocol);
  }

  /** Says frames, as the server; also late ones, after the client has left. */
  say(...frames: readonly ServerFrame[]): void {
    for (const frame of frames) this.sayText(JSON.stringify(frame));
  }

  sayText(text: string): void {
    this.#listener.text(text);
  }

  /** Ends, as the server or the network. */
  end(): void {
    if (!this.isClosed) this.#listener.closed();
  }

  /** The frames of one type that came. */
  of<T extends ClientFrame["type"]>(type: T): Extract<ClientFrame, { type: T }>[] {
    return this.sent.filter((frame): frame is Extract<ClientFrame, { type: T }> => frame.type === type);
  }
}

/** The place. Time is virtual from here on. */
export class FakePlace {
  readonly sockets: FakeSocket[] = [];
  /** What the next random numbers are. */
  chance = 0.5;
  /** Whether a socket opens by itself. */
  opens = true;
  /** Whether the server answers pings. */
  answersPings = true;
  readonly happenings: Happening[] = [];
  #wake: (() => void) | null = null;

  constructor() {
    vi.useFakeTimers({
      toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance", "Date"],
    });
  }

  get surroundings(): Surroundings {
    return {
      openSocket: (url, protocols, listener) => this.#open(url, protocols, listener),
      chance: () => this.chance,
      now: () => performance.now(),
      onWake: (callback) => {
        this.#wake = callback;
        return () => (this.#wake = null);
      },
    };
  }

  /** The last socket. */
  get socket(): FakeSocket {
    const last = this.sockets.at(-1);
    if (last === undefined) throw new Error("no socket was opened");
    return last;
  }

  /** A client here, all of whose happenings are noted. */
  client(options: Partial<ClientOptions> = {}): PlaybyplayClient {
    const client = new PlaybyplayClient({
      url: "https://chat.example.org",
      ticket: () => Promise.resolve("one"),
      surroundings: this.surroundings,
      ...options,
    });
    client.subscribe((happening) => this.happenings.push(happening));
    return client;
  }

  /** The same, connected. */
  async connected(options: Partial<ClientOptions> = {}): Promise<PlaybyplayClient> {
    const client = this.client(options);
    const connecting = client.connect();
    await this.pass(0);
    await connecting;
    return client;
  }

  /** Lets time pass, and what is promised be kept. */
  async pass(ms: number): Promise<void> {
    await vi.advanceTimersByTimeAsync(ms);
  }

  /** Whether anybody would notice that the network is back. */
  get isWatched(): boolean {
    return this.#wake !== null;
  }

  wake(): void {
    this.#wake?.();
  }

  /** The happenings of one type. */
  of<T extends Happening["type"]>(type: T): Extract<Happening, { type: T }>[] {
    return this.happenings.filter((one): one is Extract<Happening, { type: T }> => one.type === type);
  }

  /** The seqs handed on, in order. */
  get seqs(): number[] {
    return this.of("event").map(({ event }) => event.seq);
  }

  /** The states the connection went through. */
  get states(): string[] {
    return this.of("connection").map(({ connection }) => connection.state);
  }

  #open(url: string, protocols: readonly string[], listener: SocketListener): Socket {
    const socket = new FakeSocket(url, protocols, listener);
    const send = socket.send.bind(socket);
    socket.send = (text) => {
      send(text);
      const isPing = socket.sent.at(-1)?.type === "ping";
      if (isPing && this.answersPings) setTimeout(() => socket.say({ type: "pong", heads: {} }), 1);
    };
    this.sockets.push(socket);
    if (this.opens) setTimeout(() => !socket.isClosed && socket.open(), 0);
    return socket;
  }
}
