// Where messages wait that are not answered yet. A message is stored before it is sent, under the id it is sent with,
// so a reload can send it again without making a second one of it.

/** A message that was not answered yet. */
export interface StoredMessage {
  readonly client_message_id: string;
  readonly content: string;
  readonly thread_id?: string;
  /** When it was said, milliseconds since 1970. */
  readonly said_at: number;
}

/** The storage port. What it keeps belongs to one user. */
export interface MessageStore {
  /** Returns all there is, the oldest first. */
  load(): Promise<readonly StoredMessage[]> | readonly StoredMessage[];
  /** Returns once the message is safe; throws where it cannot be kept. */
  put(message: StoredMessage): Promise<void> | void;
  remove(clientMessageId: string): Promise<void> | void;
}

/** Keeps messages as long as the page or the process lives. */
export class MemoryStore implements MessageStore {
  readonly #messages = new Map<string, StoredMessage>();

  load(): readonly StoredMessage[] {
    return [...this.#messages.values()];
  }

  put(message: StoredMessage): void {
    this.#messages.set(message.client_message_id, message);
  }

  remove(clientMessageId: string): void {
    this.#messages.delete(clientMessageId);
  }
}

/** What `WebStore` needs of `localStorage` or `sessionStorage`. */
export type WebStorage = Pick<Storage, "getItem" | "setItem" | "removeItem" | "key" | "length">;

/** Keeps messages in a browser's storage, one key each, so that two tabs do not overwrite each other's. */
export class WebStore implements MessageStore {
  readonly #storage: WebStorage;
  readonly #prefix: string;

  /** `user` keeps two who share a browser apart. */
  constructor(storage: WebStorage, user: string) {
    this.#storage = storage;
    this.#prefix = `playbyplay.message:${encodeURIComponent(user)}:`;
  }

  load(): readonly StoredMessage[] {
    const keys = Array.from({ length: this.#storage.length }, (_, index) => this.#storage.key(index));
    const messages = keys
      .filter((key) => key?.startsWith(this.#prefix) === true)
      .map((key) => read(this.#storage.getItem(key as string)));
    return messages.filter((one) => one !== null).sort((one, other) => one.said_at - other.said_at);
  }

  put(message: StoredMessage): void {
    this.#storage.setItem(this.#prefix + message.client_message_id, JSON.stringify(message));
  }

  remove(clientMessageId: string): void {
    this.#storage.removeItem(this.#prefix + clientMessageId);
  }
}

function read(text: string | null): StoredMessage | null {
  try {
    const value = JSON.parse(text ?? "null") as Partial<StoredMessage> | null;
    const { client_message_id: id, content, thread_id: threadId, said_at: saidAt = 0 } = value ?? {};
    if (typeof id !== "string" || typeof content !== "string") return null;
    const thread = typeof threadId === "string" ? { thread_id: threadId } : {};
    return { client_message_id: id, content, ...thread, said_at: saidAt };
  } catch {
    return null; // somebody else's, or half written
  }
}
