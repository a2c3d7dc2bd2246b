// The pieces of an answer being written, in order. A higher draft starts it over, pieces of a lower one are dropped.
import type { ResponseDelta } from "./protocol.js";

/** The state of one run's draft. */
export class DraftReassembly {
  readonly #maxHeld: number;
  readonly #pieces = new Map<number, ResponseDelta>();
  #draft = -1;
  #index = 0;

  constructor(maxHeld: number) {
    this.#maxHeld = maxHeld;
  }

  /** Takes in a piece; returns those that are next. */
  receive(delta: ResponseDelta): ResponseDelta[] {
    if (delta.draft > this.#draft) {
      this.#draft = delta.draft;
      this.#index = 0;
      this.#pieces.clear();
    }
    const due = delta.index === this.#index;
    const early = delta.index > this.#index && this.#pieces.size < this.#maxHeld;
    if (delta.draft === this.#draft && (due || early)) this.#pieces.set(delta.index, delta);
    const next: ResponseDelta[] = [];
    for (let piece; (piece = this.#pieces.get(this.#index)) !== undefined; this.#index += 1) {
      this.#pieces.delete(this.#index);
      next.push(piece);
    }
    return next;
  }

  clear(): void {
    this.#pieces.clear();
  }
}
