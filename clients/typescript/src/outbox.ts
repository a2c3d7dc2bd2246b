// The messages on their way: stored, then sent, and sent again under the same id until they are accepted or refused
// for good. Of one thread one is sent at a time, so that their order holds. No socket: the caller writes.
import { Closed, NotStored, Rejected, Withdrawn } from "./errors.js";
import { ceilingMs, type Pace } from "./pace.js";
import type { AgentMessage, MessageRejected } from "./protocol.js";
import type { Run } from "./run.js";
import type { MessageStore, StoredMessage } from "./store.js";

/** A message that was said, and the run it becomes. */
export interface Outgoing {
  readonly clientMessageId: string;
  readonly content: string;
  readonly threadId: string | undefined;
  /** Resolves once the message is accepted; rejects where it is refused for good, taken back or not stored. */
  readonly run: Promise<Run>;
}

/** What became of a refusal; `retryInMs` where the message is sent again. */
export interface Refusal {
  readonly clientMessageId: string;
  readonly code: MessageRejected["code"];
  readonly message: string;
  readonly retryInMs?: number;
}

interface Entry extends Outgoing {
  readonly message: StoredMessage;
  readonly accept: (run: Run) => void;
  readonly fail: (error: Error) => void;
  stored: boolean;
  dueMs: number;
  sends: number;
  refusals: number;
}

/** All messages of one client that wait for their answer. */
export class Outbox {
  readonly #store: MessageStore;
  readonly #pace: Pace;
  readonly #write: (frame: AgentMessage) => boolean;
  readonly #now: () => number;
  #entries: Entry[] = [];
  #closed = false;

  /** `write` returns whether there was a connection to write to; `now` is in milliseconds. */
  constructor(store: MessageStore, pace: Pace, write: (frame: AgentMessage) => boolean, now: () => number) {
    this.#store = store;
    this.#pace = pace;
    this.#write = write;
    this.#now = now;
  }

  get waiting(): readonly Outgoing[] {
    return this.#entries;
  }

  /** Takes up what an earlier page or process left, before what was said since. */
  async load(): Promise<void> {
    let stored: readonly StoredMessage[];
    try {
      stored = await this.#store.load();
    } catch (error) {
      throw new NotStored("The messages that wait could not be read.", { cause: error });
    }
    const known = new Set(this.#entries.map((entry) => entry.clientMessageId));
    const older = stored.filter((message) => !known.has(message.client_message_id));
    this.#entries = [...older.map((message) => ({ ...entryOf(message), stored: true })), ...this.#entries];
  }

  /** Stores a message and sends it; the same id with the same content is the same message. */
  add(message: StoredMessage): Outgoing {
    const id = message.client_message_id;
    const known = this.#entries.find((entry) => entry.clientMessageId === id);
    if (known !== undefined) {
      if (known.content === message.content && known.threadId === message.thread_id) return known;
      throw new Rejected("conflict", "Another message is being sent under this id.");
    }
    const entry = entryOf(message);
    this.#entries.push(entry);
    void this.#keep(entry);
    return entry;
  }

  /** Sends what is due. */
  tick(): void {
    const nowMs = this.#now();
    const busy = new Set<string>();
    for (const entry of this.#entries) {
      const lane = entry.threadId ?? entry.clientMessageId;
      if (!busy.has(lane) && entry.stored && nowMs >= entry.dueMs && this.#write(frameOf(entry.message))) {
        entry.dueMs = nowMs + Math.max(this.#pace.answerMs, ceilingMs(this.#pace, entry.sends));
        entry.sends += 1;
      }
      busy.add(lane);
    }
  }

  /** Sends everything again: the connection is new. */
  again(): void {
    for (const entry of this.#entries) entry.dueMs = 0;
    this.tick();
  }

  /** Bears an error of the gateway, which does not say whose it is: everything is sent again, soon. */
  postpone(): void {
    for (const entry of this.#entries) {
      if (entry.sends > 0) entry.dueMs = this.#now() + ceilingMs(this.#pace, entry.sends - 1);
    }
  }

  /** The message is durable; returns whether it was waited for. */
  accepted(clientMessageId: string | undefined, run: Run): boolean {
    const entry = this.#settle(clientMessageId);
    entry?.accept(run);
    return entry !== undefined;
  }

  /** Bears a refusal where it can be borne; returns what became of it, null where it is of no message here. */
  refused({ client_message_id: id, code, message, ...frame }: MessageRejected): Refusal | null {
    const entry = this.#entries.find((one) => one.clientMessageId === id);
    if (entry === undefined) return null;
    const refusal = { clientMessageId: entry.clientMessageId, code, message };
    // A deployment that answers `thread_busy` chose that second messages are not to wait; the person decides.
    if (!frame.retryable || code === "thread_busy") {
      this.#settle(id)?.fail(new Rejected(code, message));
      return refusal;
    }
    const retryInMs = Math.max(ceilingMs(this.#pace, entry.refusals), frame.retry_after_ms ?? 0);
    entry.refusals += 1;
    entry.dueMs = this.#now() + retryInMs;
    return { ...refusal, retryInMs };
  }

  /** Takes a message back; returns whether it was waiting. */
  withdraw(clientMessageId: string): boolean {
    const entry = this.#settle(clientMessageId);
    entry?.fail(new Withdrawn("The message was taken back."));
    return entry !== undefined;
  }

  /** Gives up waiting; what is stored stays for the next client. */
  close(): void {
    this.#closed = true;
    for (const entry of this.#entries) entry.fail(new Closed("The client was closed."));
    this.#entries = [];
  }

  async #keep(entry: Entry): Promise<void> {
    try {
      await this.#store.put(entry.message);
    } catch (error) {
      this.#drop(entry.clientMessageId);
      entry.fail(new NotStored("The message could not be stored.", { cause: error }));
      return;
    }
    if (this.#entries.includes(entry)) {
      entry.stored = true;
      this.tick();
    } else if (!this.#closed) await this.#forget(entry.clientMessageId); // it was taken back meanwhile
  }

  #settle(clientMessageId: string | undefined): Entry | undefined {
    const entry = this.#drop(clientMessageId);
    if (entry === undefined) return undefined;
    void this.#forget(entry.clientMessageId);
    this.tick(); // the next of its thread
    return entry;
  }

  #drop(clientMessageId: string | undefined): Entry | undefined {
    const entry = this.#entries.find((one) => one.clientMessageId === clientMessageId);
    this.#entries = this.#entries.filter((one) => one !== entry);
    return entry;
  }

  async #forget(clientMessageId: string): Promise<void> {
    try {
      await this.#store.remove(clientMessageId);
    } catch {
      // It is sent once more after a reload, and answered as a duplicate.
    }
  }
}

function frameOf(message: StoredMessage): AgentMessage {
  const { client_message_id, content, thread_id } = message;
  return { type: "agent_message", content, client_message_id, ...(thread_id !== undefined && { thread_id }) };
}

function entryOf(message: StoredMessage): Entry {
  let accept: (run: Run) => void = () => undefined;
  let fail: (error: Error) => void = () => undefined;
  const run = new Promise<Run>((resolve, reject) => {
    accept = resolve;
    fail = reject;
  });
  run.catch(() => undefined); // who does not ask for the run is told by the client's events
  return {
    clientMessageId: message.client_message_id,
    content: message.content,
    threadId: message.thread_id,
    run,
    message,
    accept,
    fail,
    stored: false,
    dueMs: 0,
    sends: 0,
    refusals: 0,
  };
}
