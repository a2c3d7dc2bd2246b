// What was said and not yet answered. A message gets its id and is stored before it is sent, so it
// survives a reload and can be sent again without becoming a second message. One is sent at a time:
// the order holds, and the first tells the thread that the next belong to. Where people sign in, each has
// their own: two who share a browser do not see each other's.

const MAX_CONTENT_BYTES = 12_288;
const MAX_FRAME_BYTES = 16_384;
const UNANSWERED_MS = 5000;

const bytes = (text) => new TextEncoder().encode(text).length;

const frameOf = (entry) => ({
  type: "agent_message",
  content: entry.content,
  client_message_id: entry.id,
  ...(entry.thread_id && { thread_id: entry.thread_id }),
});

function read(key, storage = "localStorage") {
  try {
    return JSON.parse(window[storage].getItem(key));
  } catch {
    return null;
  }
}

function write(key, value, storage = "localStorage") {
  try {
    if (value === null) window[storage].removeItem(key);
    else window[storage].setItem(key, JSON.stringify(value));
  } catch {
    // Without storage the page works until it is reloaded.
  }
}

/** Whether a message fits into one frame. */
export function fits(content) {
  const id = "0".repeat(36);
  const frame = JSON.stringify(frameOf({ id, content, thread_id: id }));
  return bytes(content) <= MAX_CONTENT_BYTES && bytes(frame) <= MAX_FRAME_BYTES;
}

export class Outbox {
  #send;
  #keys;
  #entries;
  #sent = null; // { id, at } of the one that waits for its answer

  /** `send(frame)` returns whether it could; `user` is null where nobody signs in. */
  constructor(send, user = null) {
    this.#send = send;
    const key = (name) => (user === null ? `playbyplay.${name}` : `playbyplay.${name}.${user}`);
    this.#keys = { outbox: key("outbox"), thread: key("thread"), draft: key("draft") };
    this.#entries = this.#stored();
  }

  get entries() {
    return this.#entries;
  }

  /** The thread this page goes on with: that of the unanswered messages, else the one it showed last. */
  thread() {
    return this.#entries.length > 0 ? this.#entries[0].thread_id : read(this.#keys.thread);
  }

  add(content, threadId) {
    const entry = { id: crypto.randomUUID(), content, thread_id: threadId, said_at: Date.now() };
    this.#entries.push(entry);
    this.#store([...this.#stored(), entry]);
    return entry;
  }

  /** Remembers the thread; messages that were said before it was known belong to it too. */
  keepThread(threadId) {
    write(this.#keys.thread, threadId);
    for (const entry of this.#entries) entry.thread_id ??= threadId;
    const others = this.#stored().filter((one) => !this.#entries.some((entry) => entry.id === one.id));
    this.#store([...others, ...this.#entries]);
  }

  /** Gives up what is unanswered; returns the contents. */
  empty() {
    const entries = this.#entries;
    this.#entries = [];
    this.#sent = null;
    this.#store(this.#stored().filter((one) => !entries.some((entry) => entry.id === one.id)));
    return entries.map((entry) => entry.content);
  }

  flush() {
    const [first] = this.#entries;
    if (first === undefined || this.#sent?.id === first.id) return;
    if (this.#send(frameOf(first))) this.#sent = { id: first.id, at: Date.now() };
  }

  /** Sends the unanswered one again, under its own id. */
  again() {
    this.#sent = null;
    this.flush();
  }

  /** The same, if its answer is overdue. */
  remind() {
    if (this.#sent !== null && Date.now() - this.#sent.at > UNANSWERED_MS) this.again();
  }

  /** A message was accepted, or refused for good. */
  settle(id) {
    this.#entries = this.#entries.filter((entry) => entry.id !== id);
    this.#store(this.#stored().filter((entry) => entry.id !== id));
    if (this.#sent?.id === id) this.#sent = null;
    this.flush();
  }

  /** Keeps what is being written over a sign-in, in this tab. */
  keepDraft(text) {
    write(this.#keys.draft, text || null, "sessionStorage");
  }

  takeDraft() {
    const text = read(this.#keys.draft, "sessionStorage");
    this.keepDraft("");
    return typeof text === "string" ? text : "";
  }

  /** Removes every text; the thread's id stays, which opens nothing without its user. */
  forget() {
    this.#entries = [];
    this.#sent = null;
    write(this.#keys.outbox, null);
    this.keepDraft("");
  }

  #stored() {
    const entries = read(this.#keys.outbox);
    return Array.isArray(entries) ? entries.filter((entry) => typeof entry?.content === "string") : [];
  }

  #store(entries) {
    write(this.#keys.outbox, entries);
  }
}
