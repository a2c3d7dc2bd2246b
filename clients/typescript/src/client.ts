// The client: sends messages, follows runs, and heals whatever happens to the connection.
import { Connection, type ConnectionState } from "./connection.js";
import { checkMessage, newId } from "./content.js";
import { Closed, SignedOut } from "./errors.js";
import { type Happening, Happenings, type HappeningOf, type Listener } from "./happenings.js";
import { Inbox } from "./inbox.js";
import { type ClientOptions, completed, type SendOptions } from "./options.js";
import { type Outgoing, Outbox } from "./outbox.js";
import type { Pace } from "./pace.js";
import type { ClientFrame, Position } from "./protocol.js";
import { Requests } from "./requests.js";
import type { Run } from "./run.js";
import { MemoryStore } from "./store.js";
import type { Surroundings } from "./surroundings.js";

const WAITING_PING_MS = 5000; // as with an open run: whoever waits for an answer notices a dead line soon

/** One user's client of one server. */
export class PlaybyplayClient {
  readonly #pace: Pace;
  readonly #around: Surroundings;
  readonly #connection: Connection;
  readonly #outbox: Outbox;
  readonly #requests: Requests;
  readonly #inbox: Inbox;
  readonly #happenings = new Happenings();
  readonly #threads = new Map<string, Promise<unknown>>(); // replays under way
  #opening: Promise<void> | null = null;
  #timer: ReturnType<typeof setInterval> | null = null;
  #unwatch: () => void = () => undefined;
  #closed = false;

  constructor(options: ClientOptions) {
    const { door, pace, around } = completed(options);
    this.#pace = pace;
    this.#around = around;
    this.#connection = new Connection(door, pace, around, {
      changed: (connection) => this.#happenings.tell({ type: "connection", connection }),
      opened: () => this.#begin(),
      text: (text) => this.#inbox.take(text),
      ping: () => JSON.stringify(this.#inbox.ping()),
      pingIntervalMs: () => Math.min(this.#inbox.pingIntervalMs, this.#isWaiting() ? WAITING_PING_MS : Infinity),
    });
    const write = (frame: ClientFrame): boolean => this.#connection.send(JSON.stringify(frame));
    this.#outbox = new Outbox(options.store ?? new MemoryStore(), pace, write, around.now);
    this.#requests = new Requests(pace, write, around.now);
    this.#inbox = new Inbox({
      outbox: this.#outbox,
      requests: this.#requests,
      happenings: this.#happenings,
      write,
      renew: (reason) => this.#connection.renew(reason),
      now: around.now,
    });
  }

  get connection(): ConnectionState {
    return this.#connection.state;
  }

  /** The messages that were not answered yet, also those an earlier page left. */
  get waiting(): readonly Outgoing[] {
    return this.#outbox.waiting;
  }

  /** The runs that are known by now, in the order they were heard of. */
  get runs(): readonly Run[] {
    return this.#inbox.runs;
  }

  /**
   * Connects, and stays connected until `close`. Returns once a connection stands, however long that takes; throws
   * SignedOut, NotStored (what waits could not be read) or Closed.
   */
  connect(): Promise<void> {
    if (this.#opening === null) {
      this.#opening = this.#open().finally(() => (this.#opening = null));
      this.#opening.catch(() => undefined); // who does not wait is told by the happenings
    }
    return this.#opening;
  }

  /**
   * Sends a message: stores it, then sends it until it is accepted or refused for good. Without a connection it waits
   * for one. Throws Rejected where no server would take it.
   */
  send(content: string, options: SendOptions = {}): Outgoing {
    if (this.#closed) throw new Closed("The client was closed.");
    const thread = options.threadId === undefined ? {} : { thread_id: options.threadId };
    const message = { content, client_message_id: options.clientMessageId ?? newId(), ...thread };
    checkMessage({ type: "agent_message", ...message });
    return this.#outbox.add({ ...message, said_at: Date.now() });
  }

  /** Takes back a message that was not answered yet; the server may have accepted it all the same. */
  withdraw(clientMessageId: string): boolean {
    return this.#outbox.withdraw(clientMessageId);
  }

  /** Follows a run that exists, from the event after `afterSeq` on: first its replay, then live. */
  follow(runId: string, afterSeq = 0): Run {
    return this.#inbox.follow(runId, afterSeq);
  }

  /**
   * Replays a thread from a turn on; its runs come as happenings, each event once. Returns the position it was
   * replayed through. Throws Rejected: `not_found`, or `expired` where these turns are no longer kept.
   */
  async resumeThread(threadId: string, fromTurn = 1): Promise<Position> {
    const before = this.#threads.get(threadId) ?? Promise.resolve();
    const replay = before.then(() => this.#replay(threadId, fromTurn));
    const over = replay.then(
      () => undefined,
      () => undefined,
    );
    this.#threads.set(threadId, over);
    void over.then(() => this.#threads.get(threadId) === over && this.#threads.delete(threadId));
    return replay;
  }

  /** The last seq of a run that was handed on: where `follow` may go on after a reload. */
  cursor(runId: string): number {
    return this.#inbox.cursor(runId);
  }

  /** Lets go of a run that is over, which is otherwise remembered as long as the client lives. */
  forget(run: Run): void {
    this.#inbox.forget(run);
  }

  /** Listens to one kind of happening; returns what ends that. */
  on<T extends Happening["type"]>(type: T, listener: Listener<T>): () => void {
    return this.#happenings.add((happening) => {
      if (happening.type === type) listener(happening as HappeningOf<T>);
    });
  }

  /** Listens to everything; returns what ends that. */
  subscribe(listener: Listener): () => void {
    return this.#happenings.add(listener);
  }

  /** Ends the connection; what waits for a run or an answer gets Closed, stored messages stay stored. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#unwatch();
    this.#connection.end();
    this.#outbox.close();
    this.#requests.close();
    this.#inbox.end(new Closed("The client was closed."));
  }

  async #open(): Promise<void> {
    if (!this.#closed && this.#timer === null) {
      await this.#outbox.load();
      if (!this.#closed) this.#watch();
    }
    if (this.#closed) throw new Closed("The client was closed.");
    if (this.#connection.state.state === "open") return;
    await new Promise<void>((resolve, reject) => {
      const end = this.on("connection", ({ connection }) => {
        if (connection.state === "open") resolve();
        else if (connection.state === "signed_out") reject(new SignedOut(connection.reason));
        else if (connection.state === "closed") reject(new Closed("The client was closed."));
        else return;
        end();
      });
      this.#connection.begin();
    });
  }

  #watch(): void {
    this.#timer = setInterval(() => this.#tick(), this.#pace.tickMs);
    this.#unwatch = this.#around.onWake(() => this.#connection.wake());
  }

  /** Says on a new connection what the one before may not have brought over. */
  #begin(): void {
    this.#inbox.reconnected();
    this.#requests.again();
    this.#outbox.again();
  }

  #tick(): void {
    this.#connection.tick();
    this.#inbox.tick();
    this.#requests.tick();
    this.#outbox.tick();
  }

  #isWaiting(): boolean {
    return this.#requests.isWaiting || this.#outbox.waiting.length > 0;
  }

  /** Asks on until the end of the thread does not move. */
  async #replay(threadId: string, fromTurn: number): Promise<Position> {
    for (let from: Position = { turn: fromTurn, seq: 0 }; ; ) {
      const { through = from } = await this.#requests.ask({ type: "resume", thread_id: threadId, after: from });
      this.#inbox.complete(threadId, through);
      if (through.turn === from.turn && through.seq === from.seq) return through;
      from = through;
    }
  }
}
