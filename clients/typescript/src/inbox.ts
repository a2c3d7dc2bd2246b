// What comes in: each frame goes to those who wait for it, and through the reassembly to its run.
import { decode } from "./decode.js";
import { RunLost } from "./errors.js";
import type { Happenings } from "./happenings.js";
import type { Outbox } from "./outbox.js";
import type { ClientFrame, MessageRejected, Position, ServerFrame } from "./protocol.js";
import { Reassembly } from "./reassembly.js";
import type { Requests } from "./requests.js";
import { Run } from "./run.js";
import type { Action, Delivery } from "./run_reassembly.js";

/** What it works with. */
export interface InboxParts {
  readonly outbox: Outbox;
  readonly requests: Requests;
  readonly happenings: Happenings;
  readonly write: (frame: ClientFrame) => boolean;
  /** Gives the connection up for a new one, whose session is new. */
  readonly renew: (reason: string) => void;
  /** Milliseconds. */
  readonly now: () => number;
}

/** All runs of one client. */
export class Inbox {
  readonly #parts: InboxParts;
  readonly #reassembly = new Reassembly();
  readonly #runs = new Map<string, Run>();

  constructor(parts: InboxParts) {
    this.#parts = parts;
  }

  get runs(): readonly Run[] {
    return [...this.#runs.values()];
  }

  get pingIntervalMs(): number {
    return this.#reassembly.pingIntervalS * 1000;
  }

  /** The frame that asks for the heads; its cursors are this client's receipts. */
  ping(): ClientFrame {
    return { type: "ping", cursors: this.#reassembly.cursors() };
  }

  cursor(runId: string): number {
    return this.#reassembly.cursor(runId);
  }

  follow(runId: string, afterSeq: number): Run {
    const actions = this.#reassembly.follow(runId, afterSeq, this.#nowS());
    if (actions.length > 0) this.#runs.delete(runId); // it was lost; this is a new try
    const run = this.#run(runId);
    this.#act(actions);
    return run;
  }

  forget(run: Run): void {
    this.#runs.delete(run.runId);
    this.#reassembly.forget(run.runId);
    run.end(null);
  }

  /** A thread was replayed through a position, past no turn that is open: what is not whole here is asked for. */
  complete(threadId: string, through: Position): void {
    for (const run of this.runs) {
      const isPast = run.threadId === threadId && run.turn !== undefined && run.turn < through.turn;
      if (isPast) this.#act(this.#reassembly.complete(run.runId, this.#nowS()));
    }
  }

  /** Begins on a new connection. */
  reconnected(): void {
    this.#act(this.#reassembly.reconnected(this.#nowS()));
  }

  tick(): void {
    this.#act(this.#reassembly.tick(this.#nowS()));
  }

  /** Ends what the readers of all runs follow. */
  end(error: Error): void {
    for (const run of this.#runs.values()) run.end(error);
  }

  /** Takes in one text of the server; what nobody here understands is left out. */
  take(text: string): void {
    const decoded = decode(text);
    if (decoded.kind === "gateway_error") {
      this.#parts.outbox.postpone();
      this.#parts.requests.postpone();
    }
    if (decoded.kind !== "frame") return;
    const { frame } = decoded;
    if (frame.type === "message_rejected" && this.#isOfSession(frame)) {
      this.#parts.renew("The session is over.");
      return;
    }
    this.#note(frame);
    this.#act(this.#reassembly.receive(frame, this.#nowS()));
  }

  /** `expired` without a run is of the session or of the connection, which gave way to newer ones. */
  #isOfSession(refusal: MessageRejected): boolean {
    return refusal.code === "expired" && refusal.run_id === undefined;
  }

  /** Gives a frame to those who wait for it. */
  #note(frame: ServerFrame): void {
    switch (frame.type) {
      case "message_accepted": {
        const run = this.#run(frame.run_id);
        run.note(frame);
        this.#accepted(frame.client_message_id, run);
        break;
      }
      case "heartbeat": {
        const run = this.#run(frame.run_id);
        run.note(frame);
        this.#parts.happenings.tell({ type: "heartbeat", run, heartbeat: frame });
        break;
      }
      case "message_rejected":
        this.#refused(frame);
        break;
      case "cancel_accepted":
      case "answer_part":
      case "replay_complete":
        this.#parts.requests.answered(frame);
    }
  }

  #refused(frame: MessageRejected): void {
    const refusal = this.#parts.outbox.refused(frame);
    if (refusal !== null) this.#parts.happenings.tell({ type: "refused", refusal });
    else this.#parts.requests.refused(frame, (runId) => this.#reassembly.isAsking(runId));
  }

  #accepted(clientMessageId: string | undefined, run: Run): void {
    if (clientMessageId === undefined || !this.#parts.outbox.accepted(clientMessageId, run)) return;
    this.#parts.happenings.tell({ type: "accepted", run, clientMessageId });
  }

  #act(actions: readonly Action[]): void {
    for (const action of actions) {
      if (action.kind === "deliver") this.#deliver(action.frame);
      else if (action.kind === "ask_resume") {
        // What is lost of it is asked for again by the reassembly.
        this.#parts.write({ type: "resume", run_id: action.runId, after_seq: action.afterSeq });
      } else {
        const run = this.#run(action.runId);
        run.end(new RunLost(action.code, "The rest of this run's events cannot be had any more."));
        this.#parts.happenings.tell({ type: "lost", run, code: action.code });
      }
    }
  }

  #deliver(frame: Delivery): void {
    const { happenings } = this.#parts;
    const run = this.#run(frame.run_id);
    run.take(frame);
    if (frame.type === "response_delta") happenings.tell({ type: "delta", run, delta: frame });
    else if (frame.type === "run_input") happenings.tell({ type: "input", run, input: frame });
    else {
      if (frame.type === "agent_started") this.#accepted(frame.client_message_id, run); // it overtook the reply
      happenings.tell({ type: "event", run, event: frame });
    }
  }

  #run(runId: string): Run {
    const known = this.#runs.get(runId);
    if (known !== undefined) return known;
    const run = new Run(this.#parts.requests, runId);
    this.#runs.set(runId, run);
    this.#parts.happenings.tell({ type: "run", run });
    return run;
  }

  #nowS(): number {
    return this.#parts.now() / 1000;
  }
}
