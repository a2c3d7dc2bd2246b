// A server that keeps the contract behind a network that does not: frames are lost, doubled, delayed and overtaken,
// connections end or go dead, both in the middle of anything. All chance comes from one seed.
import type { ClientFrame, RunEvent, ServerFrame } from "../src/protocol.js";
import type { OpenSocket, Socket, SocketListener } from "../src/web_socket.js";
import type { Luck } from "./luck.js";
import { CANONICAL } from "./vectors.js";

interface ServedRun {
  readonly runId: string;
  readonly turn: number;
  readonly content: string;
  readonly events: RunEvent[];
}

interface Link {
  readonly listener: SocketListener;
  ends: boolean;
  isDead: boolean;
}

const THREAD = CANONICAL[0]?.thread_id ?? "";

export class UnluckyServer {
  /** By client_message_id: one message, one run. */
  readonly runs = new Map<string, ServedRun>();
  /** Whether the network still misbehaves. */
  isStormy = true;
  readonly #luck: Luck;
  #links: Link[] = [];

  constructor(luck: Luck) {
    this.#luck = luck;
  }

  readonly openSocket: OpenSocket = (_url, _protocols, listener): Socket => {
    const link: Link = { listener, ends: false, isDead: false };
    setTimeout(() => {
      if (link.ends) return;
      if (this.#happens(5)) listener.closed();
      else {
        this.#links.push(link);
        listener.opened("playbyplay.v1");
      }
    }, this.#luck.below(200));
    return {
      send: (text) => this.#carry(link, () => this.#receive(link, JSON.parse(text) as ClientFrame)),
      close: () => this.#drop(link),
    };
  };

  /** Ends a connection, or lets it go dead, now and then. */
  trouble(): void {
    for (const link of [...this.#links]) {
      if (this.#happens(60)) link.isDead = true;
      else if (this.#happens(30)) {
        this.#drop(link);
        link.listener.closed();
      }
    }
  }

  #drop(link: Link): void {
    link.ends = true;
    this.#links = this.#links.filter((one) => one !== link);
  }

  /** Whether something of which one in `odds` goes wrong does so now. */
  #happens(odds: number): boolean {
    return this.isStormy && this.#luck.below(odds) === 0;
  }

  /** Lets something cross the network: never, once or twice, now or later. */
  #carry(link: Link, arrive: () => void): void {
    const copies = this.#happens(8) ? 0 : this.#happens(8) ? 2 : 1;
    for (let copy = 0; copy < copies; copy += 1) {
      const delayMs = this.isStormy ? (this.#luck.pick([0, 20, 300, 3000]) ?? 0) : 0;
      setTimeout(() => !link.ends && !link.isDead && arrive(), delayMs);
    }
  }

  #say(link: Link, frame: ServerFrame): void {
    this.#carry(link, () => link.listener.text(JSON.stringify(frame)));
  }

  #receive(link: Link, frame: ClientFrame): void {
    if (frame.type === "agent_message") this.#accept(link, frame.client_message_id ?? "", frame.content);
    else if (frame.type === "ping") {
      const heads = [...this.runs.values()].map((run) => [run.runId, this.#head(run)] as const);
      this.#say(link, { type: "pong", heads: Object.fromEntries(heads.slice(-16)) });
    } else if (frame.type === "resume" && "run_id" in frame) this.#replay(link, frame.run_id, frame.after_seq);
  }

  #accept(link: Link, id: string, content: string): void {
    if (this.#happens(10)) {
      const refusal = { code: "overloaded", message: "Not now.", retryable: true, client_message_id: id } as const;
      this.#say(link, { type: "message_rejected", ...refusal });
      return;
    }
    const duplicate = this.runs.has(id);
    const run = this.runs.get(id) ?? this.#begin(id, content);
    const ids = { run_id: run.runId, thread_id: THREAD, turn: run.turn };
    this.#say(link, { type: "message_accepted", client_message_id: id, ...ids, duplicate, position: 0 });
  }

  #begin(id: string, content: string): ServedRun {
    const turn = this.runs.size + 1;
    const runId = `0192a000-0000-7000-8000-${String(turn).padStart(12, "0")}`;
    const run: ServedRun = { runId, turn, content, events: [] };
    this.runs.set(id, run);
    CANONICAL.forEach((event, at) => {
      const own = event.type === "agent_started" ? { client_message_id: id } : {};
      setTimeout(() => this.#append(run, { ...event, ...own, run_id: runId, turn }), (at + 1) * 400);
    });
    return run;
  }

  #append(run: ServedRun, event: RunEvent): void {
    run.events.push(event);
    for (const link of this.#links) this.#say(link, event);
  }

  #head(run: ServedRun): { last_seq: number; status: "running" | "completed" } {
    const isOver = run.events.length === CANONICAL.length;
    return { last_seq: run.events.length, status: isOver ? "completed" : "running" };
  }

  #replay(link: Link, runId: string, afterSeq: number): void {
    const run = [...this.runs.values()].find((one) => one.runId === runId);
    if (run === undefined) return;
    for (const event of run.events.slice(afterSeq)) this.#say(link, { ...event, replay: true });
    this.#say(link, { type: "replay_complete", run_id: runId, after_seq: afterSeq, ...this.#head(run) });
  }
}
