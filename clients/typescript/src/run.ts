// A run as its reader sees it: events and pieces of the answer to follow, a result to wait for.
import { RunFailed, RunLost } from "./errors.js";
import { Feed } from "./feed.js";
import type {
  Answer,
  Cancel,
  FinalResponse,
  Heartbeat,
  MessageAccepted,
  ResponseDelta,
  RunErrorEvent,
  RunEvent,
  RunInput,
} from "./protocol.js";
import type { ReplyTo } from "./requests.js";
import { type Delivery, isTerminal } from "./run_reassembly.js";

/** What a run needs of the client: a command is sent until it is answered. */
export interface Asker {
  ask<C extends Answer | Cancel>(frame: C): Promise<ReplyTo<C>>;
}

/** One run: `for await (const event of run)` yields its events once each, in order, and ends after the terminal. */
export class Run implements AsyncIterable<RunEvent> {
  readonly runId: string;
  readonly #asker: Asker;
  readonly #events = new Feed<RunEvent>();
  readonly #deltas = new Feed<ResponseDelta>();
  #threadId: string | undefined;
  #turn: number | undefined;
  #position: number | undefined;
  #input: RunInput | undefined;
  #heartbeat: Heartbeat | undefined;

  constructor(asker: Asker, runId: string) {
    this.#asker = asker;
    this.runId = runId;
  }

  /** Where it belongs; undefined until a frame told. */
  get threadId(): string | undefined {
    return this.#threadId;
  }

  get turn(): number | undefined {
    return this.#turn;
  }

  /** Turns ahead of it when its message was accepted; undefined where no reply told that. */
  get position(): number | undefined {
    return this.#position;
  }

  /** The user's message, where the server told it. */
  get input(): RunInput | undefined {
    return this.#input;
  }

  /** The last sign of life. */
  get heartbeat(): Heartbeat | undefined {
    return this.#heartbeat;
  }

  /** The events that came by now. */
  get events(): readonly RunEvent[] {
    return this.#events.items;
  }

  [Symbol.asyncIterator](): AsyncIterator<RunEvent, void, void> {
    return this.#events[Symbol.asyncIterator]();
  }

  /** The answer as it is written. Hints: a higher `draft` starts over, `final_response` is the truth. */
  deltas(): AsyncIterable<ResponseDelta> {
    return this.#deltas;
  }

  /** Waits for the terminal; throws RunLost or Closed where it cannot be had. */
  async result(): Promise<FinalResponse | RunErrorEvent> {
    for await (const event of this) {
      if (event.type === "final_response" || event.type === "error") return event;
    }
    throw new RunLost("not_found", "The run was let go of before its end.");
  }

  /** The whole answer, however long; throws RunFailed where there is none. */
  async answer(): Promise<string> {
    const final = await this.result();
    if (final.type === "error") throw new RunFailed(final.code, final.message);
    const utf8 = new TextEncoder();
    let text = final.content;
    let offset = utf8.encode(text).length;
    while (offset < (final.full_bytes ?? 0)) {
      const part = await this.#asker.ask({ type: "answer", run_id: this.runId, offset });
      if (part.text === "") throw new RunLost("not_found", "The server does not hold the rest of the answer.");
      text += part.text;
      offset += utf8.encode(part.text).length;
    }
    return text;
  }

  /** Asks that the run end, and returns once that wish is durable; the terminal comes as an event. */
  async cancel(): Promise<void> {
    await this.#asker.ask({ type: "cancel", run_id: this.runId });
  }

  /** Takes in what the client's reassembly hands on. */
  take(frame: Delivery): void {
    this.#threadId = frame.thread_id;
    if (frame.type === "response_delta") {
      this.#deltas.append(frame);
      return;
    }
    this.#turn = frame.turn;
    if (frame.type === "run_input") {
      this.#input = frame;
      return;
    }
    this.#events.append(frame);
    if (isTerminal(frame)) this.end(null);
  }

  /** Takes in what the server says about it beside its events. */
  note(frame: MessageAccepted | Heartbeat): void {
    if (frame.type === "heartbeat") {
      this.#heartbeat = frame;
      return;
    }
    this.#threadId = frame.thread_id;
    this.#turn = frame.turn;
    this.#position = frame.position;
  }

  /** Ends what readers follow. */
  end(error: Error | null): void {
    this.#events.close(error);
    this.#deltas.close(error);
  }
}
