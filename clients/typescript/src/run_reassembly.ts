// One run as far as it was handed on: what is next, what is held, what is asked for and when to ask again.
import type { MessageRejected, ResponseDelta, RunEvent, RunInput, ServerFrame } from "./protocol.js";
import { DraftReassembly } from "./draft_reassembly.js";

const MAX_HELD = 256;
const HOLE_S = 1; // a live frame may be late; after this it counts as lost
const ANSWER_S = 5; // a resume that brought nothing for so long is sent again
const FIRST_WAIT_S = 1; // between replays that brought nothing new, doubling
const LAST_WAIT_S = 20;

/** What is handed on: a run's next event, the user's input of a run, or the next piece of an answer being written. */
export type Delivery = RunEvent | RunInput | ResponseDelta;

/** What is to be done; `lost` says that the log can no longer make this run whole, and the code says why. */
export type Action =
  | { readonly kind: "deliver"; readonly frame: Delivery }
  | { readonly kind: "ask_resume"; readonly runId: string; readonly afterSeq: number }
  | { readonly kind: "lost"; readonly runId: string; readonly code: MessageRejected["code"] };

/** Whether an event is the last of its run. */
export function isTerminal(event: RunEvent): boolean {
  return event.type === "final_response" || event.type === "error";
}

/** The state of one run. Times are seconds of a clock that never goes back. */
export class RunReassembly {
  /** When the last frame about this run came. */
  heardS = 0;
  readonly id: string;
  readonly #held = new Map<number, RunEvent>();
  readonly #draft = new DraftReassembly(MAX_HELD);
  #phase: "open" | "ended" | "lost" = "open";
  #last = 0;
  #head = 0; // the highest seq known to exist
  #hasInput = false;
  #wanted = false; // a replay is wanted whatever the head
  #asked: number | null = null; // what `last` was when the resume was sent that waits for its end
  #tries = 0; // resumes in a row that brought nothing
  #dueS: number | null = null; // when to look again; null only while nothing is missing and nothing is asked

  constructor(id: string) {
    this.id = id;
  }

  /** The last seq handed on. */
  get last(): number {
    return this.#last;
  }

  get isOpen(): boolean {
    return this.#phase === "open";
  }

  get isLost(): boolean {
    return this.#phase === "lost";
  }

  get isAsking(): boolean {
    return this.#asked !== null;
  }

  /** Takes the events up to this one as handed on. */
  startAfter(seq: number): void {
    this.#last = this.#head = seq;
  }

  receive(frame: ServerFrame, nowS: number): Action[] {
    switch (frame.type) {
      case "run_input":
        return this.#input(frame);
      case "response_delta":
        return this.isOpen ? this.#draft.receive(frame).map(deliver) : [];
      case "heartbeat":
        return this.atHead(frame.last_seq, nowS);
      case "replay_complete":
        return this.#replayed(frame.last_seq ?? 0, nowS);
      case "lagging": // nothing live comes on this connection until it resumes, even where this run is whole
        if (this.isLost) return [];
        this.#head = Math.max(this.#head, frame.last_seq);
        return this.want(nowS);
      case "message_accepted": // a repeat: its events may have gone out before this connection was there
        return frame.duplicate && this.isOpen && this.#asked === null ? this.want(nowS) : [];
      case "message_rejected":
        return this.#refused(frame, nowS);
      case "cancel_accepted":
      case "answer_part":
      case "pong":
        return [];
      default:
        return this.isOpen ? this.#event(frame, nowS) : [];
    }
  }

  tick(nowS: number): Action[] {
    if (this.#dueS === null || nowS < this.#dueS) return [];
    if (!this.#isMissing()) {
      this.#asked = this.#dueS = null;
      this.#tries = 0;
      return [];
    }
    if (this.#asked !== null) this.#tries += 1;
    return this.#ask(nowS);
  }

  /** Asks for a replay, whatever the head. */
  want(nowS: number): Action[] {
    this.#wanted = true;
    return this.#ask(nowS);
  }

  /** Asks for what is missing below a head, unless that is asked for already or waits its turn. */
  atHead(lastSeq: number, nowS: number): Action[] {
    this.#head = Math.max(this.#head, lastSeq);
    const waits = this.#asked !== null || this.#tries > 0;
    return this.#isMissing() && !waits ? this.#ask(nowS) : [];
  }

  reconnected(nowS: number): Action[] {
    this.#asked = this.#dueS = null;
    this.#wanted = false;
    this.#tries = 0;
    return this.isOpen ? this.want(nowS) : [];
  }

  #isMissing(): boolean {
    return this.#wanted || (this.isOpen && this.#last < this.#head);
  }

  #waitS(): number {
    return Math.min(LAST_WAIT_S, FIRST_WAIT_S * 2 ** Math.max(this.#tries - 1, 0));
  }

  #ask(nowS: number): Action[] {
    this.#asked = this.#last;
    this.#dueS = nowS + Math.max(ANSWER_S, this.#waitS());
    return [{ kind: "ask_resume", runId: this.id, afterSeq: this.#last }];
  }

  #input(frame: RunInput): Action[] {
    if (this.#hasInput) return [];
    this.#hasInput = true;
    return [deliver(frame)];
  }

  #event(event: RunEvent, nowS: number): Action[] {
    if (event.seq <= this.#last || this.#held.has(event.seq)) return [];
    this.#head = Math.max(this.#head, event.seq);
    if (event.seq === this.#last + 1) return this.#deliver(event, nowS);
    if (this.#held.size >= MAX_HELD) {
      this.#held.clear();
      return this.#asked === null ? this.#ask(nowS) : [];
    }
    this.#held.set(event.seq, event);
    this.#dueS ??= nowS + HOLE_S;
    return [];
  }

  /** Hands on an event and those held behind it. */
  #deliver(first: RunEvent, nowS: number): Action[] {
    const actions: Action[] = [];
    for (let event: RunEvent | undefined = first; event !== undefined; event = this.#held.get(this.#last + 1)) {
      actions.push(deliver(event));
      this.#last = event.seq;
      this.#held.delete(event.seq);
      if (isTerminal(event)) this.#close("ended");
    }
    this.#tries = 0;
    if (this.#asked !== null) this.#dueS = nowS + ANSWER_S;
    else this.#dueS = this.#isMissing() ? nowS + HOLE_S : null;
    return actions;
  }

  #close(phase: "ended" | "lost"): void {
    this.#phase = phase;
    this.#held.clear();
    this.#draft.clear();
  }

  #replayed(lastSeq: number, nowS: number): Action[] {
    const progressed = this.#asked !== null && this.#last > this.#asked;
    this.#asked = null;
    this.#wanted = false;
    this.#head = Math.max(this.#head, lastSeq);
    if (!this.#isMissing()) {
      this.#tries = 0;
      this.#dueS = null;
      return [];
    }
    if (progressed) return this.#ask(nowS); // one replay is at most 200 events: there is more
    this.#tries += 1;
    this.#dueS = nowS + this.#waitS();
    return [];
  }

  #refused(refusal: MessageRejected, nowS: number): Action[] {
    if (this.#asked === null && refusal.code !== "expired") return []; // of a cancel or an answer, not of a resume
    this.#asked = null;
    if (refusal.retryable) {
      this.#tries += 1;
      this.#dueS = nowS + Math.max(this.#waitS(), (refusal.retry_after_ms ?? 0) / 1000);
      return [];
    }
    this.#wanted = false;
    this.#dueS = null;
    if (!this.isOpen) return [];
    this.#close("lost");
    return [{ kind: "lost", runId: this.id, code: refusal.code }];
  }
}

function deliver(frame: Delivery): Action {
  return { kind: "deliver", frame };
}
