// Commands that are no messages: a cancel, the rest of an answer, the replay of a thread. Each is sent again until it
// is answered, refused for good, or given up. No socket: the caller writes.
import { Closed, Rejected, Unanswered } from "./errors.js";
import { ceilingMs, type Pace } from "./pace.js";
import type {
  Answer,
  AnswerPart,
  Cancel,
  CancelAccepted,
  ClientFrame,
  MessageRejected,
  Position,
  ReplayComplete,
} from "./protocol.js";

/** The resume of a whole thread. */
export interface ResumeThread {
  readonly type: "resume";
  readonly thread_id: string;
  readonly after: Position;
}

export type Command = Answer | Cancel | ResumeThread;
export type CommandReply = AnswerPart | CancelAccepted | ReplayComplete;

/** What answers a command. */
export type ReplyTo<C extends Command> = Replies[C["type"]];

interface Replies {
  readonly answer: AnswerPart;
  readonly cancel: CancelAccepted;
  readonly resume: ReplayComplete;
}

interface Entry {
  readonly frame: Command;
  readonly key: string;
  readonly reply: Promise<CommandReply>;
  readonly resolve: (reply: CommandReply) => void;
  readonly reject: (error: Error) => void;
  dueMs: number;
  sends: number;
  refusals: number;
}

/** The commands that wait for an answer, and when each is to be sent (again). */
export class Requests {
  readonly #pace: Pace;
  readonly #write: (frame: ClientFrame) => boolean;
  readonly #now: () => number;
  #entries: Entry[] = [];
  #closed = false;

  /** `write` returns whether there was a connection to write to; `now` is in milliseconds. */
  constructor(pace: Pace, write: (frame: ClientFrame) => boolean, now: () => number) {
    this.#pace = pace;
    this.#write = write;
    this.#now = now;
  }

  get isWaiting(): boolean {
    return this.#entries.length > 0;
  }

  /** Sends a command until it is answered; the same one asked twice is asked once. */
  ask<C extends Command>(frame: C): Promise<ReplyTo<C>> {
    if (this.#closed) return Promise.reject(new Closed("The client was closed."));
    const key = keyOf(frame);
    const known = this.#entries.find((entry) => entry.key === key);
    const entry = known ?? entryOf(frame, key);
    if (known === undefined) this.#entries.push(entry);
    this.tick();
    return entry.reply as Promise<ReplyTo<C>>; // its key says so
  }

  /** Sends what is due; a command that was sent too often gets no further. */
  tick(): void {
    const nowMs = this.#now();
    for (const entry of [...this.#entries]) {
      if (nowMs < entry.dueMs) continue;
      if (entry.sends >= this.#pace.sends) {
        this.#drop(entry).reject(new Unanswered(`The server did not answer: ${entry.frame.type}.`));
      } else if (this.#write(entry.frame)) {
        entry.sends += 1;
        entry.dueMs = nowMs + (entry.frame.type === "resume" ? this.#pace.threadMs : this.#pace.answerMs);
      }
    }
  }

  /** Sends everything again: the connection is new. */
  again(): void {
    for (const entry of this.#entries) entry.dueMs = 0;
    this.tick();
  }

  /** Bears an error of the gateway, which does not say whose it is: everything is sent again, soon. */
  postpone(): void {
    for (const entry of this.#entries) entry.dueMs = this.#now() + ceilingMs(this.#pace, entry.sends - 1);
  }

  /** Gives an answer to who waits for it. */
  answered(reply: CommandReply): void {
    const key = replyKeyOf(reply);
    const entry = this.#entries.find((one) => one.key === key);
    if (entry !== undefined) this.#drop(entry).resolve(reply);
  }

  /**
   * Bears a refusal, if it can be borne. One that names nothing, or a run nobody asked for, is of the replay of a
   * thread: every other frame is named in its refusal.
   */
  refused(refusal: MessageRejected, isAsked: (runId: string) => boolean): void {
    if (refusal.client_message_id !== undefined) return;
    const { run_id: runId } = refusal;
    const named = this.#entries.filter((one) => one.frame.type !== "resume" && one.frame.run_id === runId);
    const ofThread = runId === undefined || (named.length === 0 && !isAsked(runId));
    for (const entry of ofThread ? this.#entries.filter((one) => one.frame.type === "resume") : named) {
      entry.refusals += 1;
      if (refusal.retryable && entry.refusals <= this.#pace.retries) {
        entry.dueMs = this.#now() + Math.max(ceilingMs(this.#pace, entry.refusals - 1), refusal.retry_after_ms ?? 0);
      } else this.#drop(entry).reject(new Rejected(refusal.code, refusal.message));
    }
  }

  /** Gives up. */
  close(): void {
    this.#closed = true;
    for (const entry of this.#entries) entry.reject(new Closed("The client was closed."));
    this.#entries = [];
  }

  #drop(entry: Entry): Entry {
    this.#entries = this.#entries.filter((one) => one !== entry);
    return entry;
  }
}

function keyOf(frame: Command): string {
  if (frame.type === "resume") return `resume ${frame.thread_id}`;
  return frame.type === "answer" ? `answer ${frame.run_id} ${frame.offset}` : `cancel ${frame.run_id}`;
}

function replyKeyOf(reply: CommandReply): string {
  if (reply.type === "replay_complete") return `resume ${reply.thread_id ?? ""}`;
  return reply.type === "answer_part" ? `answer ${reply.run_id} ${reply.offset}` : `cancel ${reply.run_id}`;
}

function entryOf(frame: Command, key: string): Entry {
  let resolve: (reply: CommandReply) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const reply = new Promise<CommandReply>((accept, fail) => {
    resolve = accept;
    reject = fail;
  });
  return { frame, key, reply, resolve, reject, dueMs: 0, sends: 0, refusals: 0 };
}
