// Reassembly: frames in, actions out, each event of each run once and in order (promise C13).
// No socket and no clock: the caller says what came and when (seconds), and does what is returned, in its
// order: {deliver: frame}, {ask_resume: {run_id, after_seq}} or {lost: {run_id, code}}.
// The cases in tests/vectors/reassembly.json say what it does, for this client and all others.

const MAX_HELD = 256;
const MAX_CURSORS = 16;
const HOLE_S = 1; // a live frame may be late; after this it counts as lost
const ANSWER_S = 5; // a resume that brought nothing for so long is sent again
const LAST_WAIT_S = 20; // the longest wait between replays that brought nothing
const PING_S = 20;
const PING_OPEN_S = 5;
const TERMINAL = ["final_response", "error"];

export class Reassembly {
  #runs = new Map();

  /** The last seq of open runs, for a ping; those first that were not heard of for longest. */
  cursors() {
    const quietest = this.#open().sort((one, other) => one.heardS - other.heardS);
    return Object.fromEntries(quietest.slice(0, MAX_CURSORS).map((run) => [run.id, run.last]));
  }

  pingIntervalS() {
    return this.#open().length > 0 ? PING_OPEN_S : PING_S;
  }

  /** The last seq of one run that was delivered, 0 before the first. */
  cursor(runId) {
    return this.#runs.get(runId)?.last ?? 0;
  }

  receive(frame, nowS) {
    if (frame.type === "pong") {
      return Object.entries(frame.heads).flatMap(([runId, head]) => this.#head(runId, head.last_seq, nowS));
    }
    const closes = ["replay_complete", "message_rejected"].includes(frame.type);
    if (frame.run_id === undefined || (closes && !this.#runs.has(frame.run_id))) return [];
    return this.#run(frame.run_id, nowS).receive(frame, nowS);
  }

  /** Lets time pass; to be called a few times a second. */
  tick(nowS) {
    return [...this.#runs.values()].flatMap((run) => run.tick(nowS));
  }

  /** Takes up a run after an event that is known already. */
  follow(runId, afterSeq, nowS) {
    if (this.#runs.has(runId) && this.#runs.get(runId).phase !== "lost") return [];
    this.#runs.delete(runId);
    const run = this.#run(runId, nowS);
    run.last = run.head = afterSeq;
    return run.want(nowS);
  }

  /** A new connection: what was asked on the old one is void. */
  reconnected(nowS) {
    return [...this.#runs.values()].flatMap((run) => run.reconnected(nowS));
  }

  clear() {
    this.#runs.clear();
  }

  #open() {
    return [...this.#runs.values()].filter((run) => run.phase === "open");
  }

  #run(runId, nowS) {
    if (!this.#runs.has(runId)) this.#runs.set(runId, new Run(runId));
    const run = this.#runs.get(runId);
    run.heardS = nowS;
    return run;
  }

  #head(runId, lastSeq, nowS) {
    const known = this.#runs.has(runId);
    const run = this.#run(runId, nowS);
    return known ? run.atHead(lastSeq, nowS) : run.want(nowS); // what the user said is missing too
  }
}

class Run {
  phase = "open"; // then ended or lost
  last = 0; // the last seq delivered
  head = 0; // the highest known to exist
  heardS = 0;
  #held = new Map();
  #hasInput = false;
  #wanted = false; // a replay is wanted whatever the head
  #asked = null; // what `last` was when the resume was sent that waits for its end
  #tries = 0; // resumes in a row that brought nothing
  #dueS = null; // when to look again
  #draft = -1;
  #index = 0;
  #pieces = new Map();

  constructor(id) {
    this.id = id;
  }

  receive(frame, nowS) {
    if (Number.isSafeInteger(frame.seq)) return this.phase === "open" ? this.#event(frame, nowS) : [];
    switch (frame.type) {
      case "run_input":
        return this.#input(frame);
      case "response_delta":
        return this.phase === "open" ? this.#delta(frame) : [];
      case "heartbeat":
        return this.atHead(frame.last_seq, nowS);
      case "replay_complete":
        return this.#replayed(frame.last_seq ?? 0, nowS);
      case "lagging": // nothing live comes on this connection until it resumes
        this.head = Math.max(this.head, frame.last_seq);
        return this.phase === "lost" ? [] : this.want(nowS);
      case "message_accepted": // a repeat: its events may have gone out before this connection was there
        return frame.duplicate && this.phase === "open" && this.#asked === null ? this.want(nowS) : [];
      case "message_rejected":
        return this.#refused(frame, nowS);
      default:
        return [];
    }
  }

  tick(nowS) {
    if (this.#dueS === null || nowS < this.#dueS) return [];
    if (!this.#isMissing()) {
      this.#asked = this.#dueS = null;
      this.#tries = 0;
      return [];
    }
    if (this.#asked !== null) this.#tries += 1;
    return this.#ask(nowS);
  }

  want(nowS) {
    this.#wanted = true;
    return this.#ask(nowS);
  }

  /** Asks for what is missing below a head, unless that is asked for already or waits its turn. */
  atHead(lastSeq, nowS) {
    this.head = Math.max(this.head, lastSeq);
    return this.#isMissing() && this.#asked === null && this.#tries === 0 ? this.#ask(nowS) : [];
  }

  reconnected(nowS) {
    this.#asked = this.#dueS = null;
    this.#wanted = false;
    this.#tries = 0;
    return this.phase === "open" ? this.want(nowS) : [];
  }

  #isMissing() {
    return this.#wanted || (this.phase === "open" && this.last < this.head);
  }

  #waitS() {
    return Math.min(LAST_WAIT_S, 2 ** Math.max(this.#tries - 1, 0));
  }

  #ask(nowS) {
    this.#asked = this.last;
    this.#dueS = nowS + Math.max(ANSWER_S, this.#waitS());
    return [{ ask_resume: { run_id: this.id, after_seq: this.last } }];
  }

  #input(frame) {
    if (this.#hasInput) return [];
    this.#hasInput = true;
    return [{ deliver: frame }];
  }

  #event(event, nowS) {
    if (event.seq <= this.last || this.#held.has(event.seq)) return [];
    this.head = Math.max(this.head, event.seq);
    if (event.seq === this.last + 1) return this.#deliver(event, nowS);
    if (this.#held.size >= MAX_HELD) {
      this.#held.clear();
      return this.#asked === null ? this.#ask(nowS) : [];
    }
    this.#held.set(event.seq, event);
    this.#dueS ??= nowS + HOLE_S;
    return [];
  }

  #deliver(first, nowS) {
    const actions = [];
    for (let event = first; event !== undefined; event = this.#held.get(this.last + 1)) {
      actions.push({ deliver: event });
      this.last = event.seq;
      this.#held.delete(event.seq);
      if (TERMINAL.includes(event.type)) this.#close("ended");
    }
    this.#tries = 0;
    if (this.#asked !== null) this.#dueS = nowS + ANSWER_S;
    else this.#dueS = this.#isMissing() ? nowS + HOLE_S : null;
    return actions;
  }

  #close(phase) {
    this.phase = phase;
    this.#held.clear();
    this.#pieces.clear();
  }

  #replayed(lastSeq, nowS) {
    const progressed = this.#asked !== null && this.last > this.#asked;
    this.#asked = null;
    this.#wanted = false;
    this.head = Math.max(this.head, lastSeq);
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

  #refused({ code, retryable, retry_after_ms: afterMs }, nowS) {
    if (this.#asked === null && code !== "expired") return []; // of a cancel or an answer, not of a resume
    this.#asked = null;
    if (retryable) {
      this.#tries += 1;
      this.#dueS = nowS + Math.max(this.#waitS(), (afterMs ?? 0) / 1000);
      return [];
    }
    this.#wanted = false;
    this.#dueS = null;
    if (this.phase !== "open") return [];
    this.#close("lost");
    return [{ lost: { run_id: this.id, code } }];
  }

  #delta(delta) {
    if (delta.draft > this.#draft) {
      this.#draft = delta.draft;
      this.#index = 0;
      this.#pieces.clear();
    }
    const due = delta.index === this.#index;
    const early = delta.index > this.#index && this.#pieces.size < MAX_HELD;
    if (delta.draft === this.#draft && (due || early)) this.#pieces.set(delta.index, delta);
    const actions = [];
    for (let piece; (piece = this.#pieces.get(this.#index)) !== undefined; this.#index += 1) {
      this.#pieces.delete(this.#index);
      actions.push({ deliver: piece });
    }
    return actions;
  }
}
