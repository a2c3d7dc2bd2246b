// The connection that comes back: back-off with full jitter, pings, the detection of a line that is dead without
// saying so, and a new line before the gateway ends the old one. It knows frames only as text.
import { type CannotConnect, SignedOut } from "./errors.js";
import { type Door, Line, type LineListener } from "./line.js";
import { ceilingMs, type Pace } from "./pace.js";
import type { Surroundings } from "./surroundings.js";

/** How the connection stands; `waiting` tells when the next attempt is made at the latest. */
export type ConnectionState =
  | { readonly state: "idle" }
  | { readonly state: "connecting" }
  | { readonly state: "open" }
  | { readonly state: "waiting"; readonly retryInMs: number; readonly reason: string }
  | { readonly state: "signed_out"; readonly reason: string }
  | { readonly state: "closed" };

export interface ConnectionHandlers {
  changed(state: ConnectionState): void;
  /** A line stands, the first or another one. */
  opened(): void;
  text(text: string): void;
  ping(): string;
  pingIntervalMs(): number;
}

/** One user's connection, renewed whenever it breaks. */
export class Connection implements LineListener {
  readonly #door: Door;
  readonly #pace: Pace;
  readonly #around: Surroundings;
  readonly #handlers: ConnectionHandlers;
  #state: ConnectionState = { state: "idle" };
  #line: Line | null = null; // the one that stands
  #next: Line | null = null; // the one being opened
  #retry: ReturnType<typeof setTimeout> | null = null;
  #failures = 0;
  #openedMs = 0;
  #renewMs = 0;
  #pingedMs = 0;
  #silentSinceMs: number | null = null; // when the oldest ping was sent after which nothing came

  constructor(door: Door, pace: Pace, around: Surroundings, handlers: ConnectionHandlers) {
    this.#door = door;
    this.#pace = pace;
    this.#around = around;
    this.#handlers = handlers;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Connects, and again whenever the connection is lost. */
  begin(): void {
    if (this.#state.state === "idle" || this.#state.state === "signed_out") this.#dial();
  }

  /** Ends for good. */
  end(): void {
    this.#change({ state: "closed" });
    this.#hangUp();
  }

  /** Sends a text; returns false where there is no open line. */
  send(text: string): boolean {
    if (this.#line === null) return false;
    this.#line.send(text);
    return true;
  }

  /** Gives the line up and opens another. */
  renew(reason: string): void {
    const line = this.#line;
    line?.abandon();
    if (line !== null) this.#lost(reason);
  }

  /** Pings now; where no line stands, connects now. */
  wake(): void {
    if (this.#line !== null) this.#ping();
    else if (this.#retry !== null) this.#dial();
  }

  tick(): void {
    if (this.#line === null) return;
    const nowMs = this.#around.now();
    if (this.#silentSinceMs !== null && nowMs - this.#silentSinceMs >= this.#pace.stallMs) {
      this.renew("The line is dead.");
      return;
    }
    if (nowMs - this.#pingedMs >= this.#handlers.pingIntervalMs()) this.#ping();
    if (nowMs >= this.#renewMs && this.#retry === null) this.#dial();
  }

  opened(line: Line): void {
    if (line !== this.#next) return;
    if (this.#line !== null) this.#failures = 0; // it was old enough to be replaced
    this.#line?.abandon();
    this.#line = line;
    this.#next = null;
    this.#openedMs = this.#around.now();
    this.#renewMs = this.#openedMs + this.#pace.renewMs * (1 - this.#around.chance() / 10);
    this.#silentSinceMs = null;
    this.#change({ state: "open" });
    this.#handlers.opened();
    this.#ping();
  }

  text(line: Line, text: string): void {
    if (line !== this.#line) return;
    this.#silentSinceMs = null;
    this.#handlers.text(text);
  }

  ended(line: Line, error: SignedOut | CannotConnect): void {
    if (line === this.#line) this.#lost(error.message);
    else if (line === this.#next) {
      this.#next = null;
      if (error instanceof SignedOut && this.#line === null) {
        this.#change({ state: "signed_out", reason: error.message });
      } else this.#later(error.message);
    }
  }

  #lost(reason: string): void {
    this.#line = null;
    if (this.#around.now() - this.#openedMs >= this.#pace.settledMs) this.#failures = 0;
    if (this.#next !== null) this.#change({ state: "connecting" });
    else this.#later(reason);
  }

  #dial(): void {
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#retry = null;
    if (this.#next !== null) return;
    if (this.#line === null) this.#change({ state: "connecting" });
    this.#next = new Line(this.#door, this);
  }

  #later(reason: string): void {
    if (this.#retry !== null) clearTimeout(this.#retry);
    const retryInMs = this.#around.chance() * ceilingMs(this.#pace, this.#failures);
    this.#failures += 1;
    this.#retry = setTimeout(() => this.#dial(), retryInMs);
    if (this.#line === null) this.#change({ state: "waiting", retryInMs, reason });
  }

  #hangUp(): void {
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#retry = null;
    this.#line?.abandon();
    this.#next?.abandon();
    this.#line = this.#next = null;
  }

  #ping(): void {
    this.#pingedMs = this.#around.now();
    this.#silentSinceMs ??= this.#pingedMs;
    this.send(this.#handlers.ping());
  }

  #change(state: ConnectionState): void {
    this.#state = state;
    this.#handlers.changed(state);
  }
}
