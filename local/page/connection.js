// One socket that comes back: a fresh ticket for each try, back-off with full jitter, pings, and the
// detection of a line that is dead without saying so. It knows frames only as JSON objects.

import { SignedOut } from "./sign_in.js";

const BACK_OFF_MS = 500;
const MAX_BACK_OFF_MS = 20_000;
const SETTLED_MS = 5000; // a connection that lived this long starts the back-off over
const DEAD_MS = 5000; // a ping is answered within 2 s; nothing at all for this long means a dead line
const HANDSHAKE_MS = 10_000;
const BLINK_MS = 700;

export class Connection {
  #handlers;
  #door = null;
  #ended = false;
  #socket = null;
  #open = false;
  #failures = 0;
  #retry = null;
  #openedAt = 0;
  #heardAt = 0;
  #pingedAt = 0;
  #lostAt = 0;

  /** `opened()`, `lost()`, `signedOut(sentence)`, `frame(object)`, and `heads`: `cursors()` and `pingIntervalS()`. */
  constructor(handlers) {
    this.#handlers = handlers;
    setInterval(() => this.#tick(), 1000);
    window.addEventListener("online", () => this.#hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.#hurry());
  }

  get wasOpen() {
    return this.#openedAt > 0;
  }

  /** Whether the server can be reached, or was until just now: a blink is not worth a word. */
  get isThere() {
    return this.#open || Date.now() - this.#lostAt < BLINK_MS;
  }

  /** Connects, and again whenever the connection is lost. */
  begin(door) {
    this.#door = door;
    void this.#connect();
  }

  /** Ends for good. */
  end() {
    this.#ended = true;
    clearTimeout(this.#retry);
    this.#retry = null;
    this.#drop();
    this.#open = false;
  }

  /** Sends one frame; returns false where there is no open socket. */
  send(frame) {
    if (!this.#open) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  /** Asks for the heads now. */
  ping() {
    this.#pingedAt = Date.now();
    this.send({ type: "ping", cursors: this.#handlers.heads.cursors() });
  }

  /** Gives the socket up and opens another. */
  renew() {
    this.#lose(this.#socket);
  }

  async #connect() {
    this.#retry = null;
    let ticket;
    try {
      ticket = await this.#door.ticket();
    } catch (error) {
      if (this.#ended) return;
      if (error instanceof SignedOut) this.#handlers.signedOut(error.message);
      else this.#tryLater();
      return;
    }
    if (!this.#ended) this.#listen(ticket);
  }

  #listen(ticket) {
    const socket = new WebSocket(this.#door.socket, ["playbyplay.v1", `ticket.${ticket}`]);
    this.#socket = socket;
    const overdue = setTimeout(() => this.#lose(socket), HANDSHAKE_MS);
    socket.onopen = () => {
      clearTimeout(overdue);
      this.#open = true;
      this.#openedAt = this.#heardAt = Date.now();
      this.#handlers.opened();
      this.ping();
    };
    socket.onmessage = (message) => this.#read(message.data);
    socket.onclose = () => {
      clearTimeout(overdue);
      this.#lose(socket);
    };
  }

  #read(text) {
    this.#heardAt = Date.now();
    let frame;
    try {
      frame = JSON.parse(text);
    } catch {
      return;
    }
    if (frame !== null && typeof frame === "object") this.#handlers.frame(frame);
  }

  /** Forgets a socket at once: the closing handshake of a dead line would take minutes. */
  #lose(socket) {
    if (socket === null || socket !== this.#socket) return;
    this.#drop();
    if (this.#open && Date.now() - this.#openedAt > SETTLED_MS) this.#failures = 0;
    if (this.#open) this.#lostAt = Date.now();
    this.#open = false;
    this.#tryLater();
  }

  #drop() {
    const socket = this.#socket;
    if (socket === null) return;
    this.#socket = null;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #tryLater() {
    const ceiling = Math.min(MAX_BACK_OFF_MS, BACK_OFF_MS * 2 ** this.#failures);
    this.#failures += 1;
    this.#retry = setTimeout(() => this.#connect(), Math.random() * ceiling);
    this.#handlers.lost();
  }

  #hurry() {
    if (this.#retry === null) return;
    clearTimeout(this.#retry);
    void this.#connect();
  }

  #tick() {
    if (!this.#open) return;
    const now = Date.now();
    if (this.#heardAt < this.#pingedAt && now - this.#pingedAt > DEAD_MS) this.#lose(this.#socket);
    else if (now - this.#pingedAt >= this.#handlers.heads.pingIntervalS() * 1000) this.ping();
  }
}
