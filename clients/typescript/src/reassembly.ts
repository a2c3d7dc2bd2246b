// Reassembly: frames in, actions out, each event of each run once and in order (promise C13 of the contract).
// No socket and no clock: the caller says what came and when, in seconds, and does what is returned, in its order.
// A run is known from its first frame of any kind, whoever sent its message; runs do not wait for each other.
import type { Pong, ServerFrame } from "./protocol.js";
import { type Action, RunReassembly } from "./run_reassembly.js";

const MAX_CURSORS = 16;
const PING_S = 20;
const PING_OPEN_S = 5;

/** All runs of one client, over any number of connections. */
export class Reassembly {
  readonly #runs = new Map<string, RunReassembly>();

  /** The runs whose terminal was not handed on yet, lost ones left out. */
  get openRuns(): readonly string[] {
    return this.#open().map((run) => run.id);
  }

  /** How long to wait between two pings. */
  get pingIntervalS(): number {
    return this.#open().length > 0 ? PING_OPEN_S : PING_S;
  }

  /** The last seq of open runs, for a ping: at most 16, those first that were not heard of for longest. */
  cursors(): Readonly<Record<string, number>> {
    const quietest = this.#open().sort((one, other) => one.heardS - other.heardS);
    return Object.fromEntries(quietest.slice(0, MAX_CURSORS).map((run) => [run.id, run.last]));
  }

  /** The last seq of one run that was handed on, 0 before the first. */
  cursor(runId: string): number {
    return this.#runs.get(runId)?.last ?? 0;
  }

  /** Whether a resume of this run waits for its end. */
  isAsking(runId: string): boolean {
    return this.#runs.get(runId)?.isAsking ?? false;
  }

  /** Takes in one frame of the server. */
  receive(frame: ServerFrame, nowS: number): Action[] {
    switch (frame.type) {
      case "pong":
        return this.#heads(frame, nowS);
      case "replay_complete":
      case "message_rejected": {
        const run = frame.run_id === undefined ? undefined : this.#runs.get(frame.run_id);
        if (run === undefined) return [];
        run.heardS = nowS;
        return run.receive(frame, nowS);
      }
      default:
        return this.#run(frame.run_id, nowS).receive(frame, nowS);
    }
  }

  /** Lets time pass; to be called a few times a second. */
  tick(nowS: number): Action[] {
    return [...this.#runs.values()].flatMap((run) => run.tick(nowS));
  }

  /** Takes up a run after an event that is already known, 0 for none; a run already followed stays as it is. */
  follow(runId: string, afterSeq: number, nowS: number): Action[] {
    const known = this.#runs.get(runId);
    if (known !== undefined && !known.isLost) return [];
    this.#runs.delete(runId);
    const run = this.#run(runId, nowS);
    run.startAfter(afterSeq);
    return run.want(nowS);
  }

  /** Asks for the rest of a run that is known to have ended and of which the end was not handed on. */
  complete(runId: string, nowS: number): Action[] {
    const run = this.#runs.get(runId);
    return run?.isOpen === true && !run.isAsking ? run.want(nowS) : [];
  }

  /** Begins on a new connection: what was asked on the old one is void, open runs go on where they stood. */
  reconnected(nowS: number): Action[] {
    return [...this.#runs.values()].flatMap((run) => run.reconnected(nowS));
  }

  /** Drops a run; a frame of it that still comes makes it new. */
  forget(runId: string): void {
    this.#runs.delete(runId);
  }

  #open(): RunReassembly[] {
    return [...this.#runs.values()].filter((run) => run.isOpen);
  }

  #run(runId: string, nowS: number): RunReassembly {
    const run = this.#runs.get(runId) ?? new RunReassembly(runId);
    this.#runs.set(runId, run);
    run.heardS = nowS;
    return run;
  }

  #heads({ heads }: Pong, nowS: number): Action[] {
    return Object.entries(heads).flatMap(([runId, head]) => {
      const known = this.#runs.has(runId);
      const run = this.#run(runId, nowS);
      return known ? run.atHead(head.last_seq, nowS) : run.want(nowS); // what the user said is missing too
    });
  }
}
