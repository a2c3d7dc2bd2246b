// A list that only grows; any number of readers follow it from its beginning to its end.

/** Yields every item to every reader; after the end an error, if it ended in one. */
export class Feed<T> implements AsyncIterable<T> {
  readonly #items: T[] = [];
  #waiting: (() => void)[] = [];
  #closed = false;
  #error: Error | null = null;

  /** What is there by now. */
  get items(): readonly T[] {
    return this.#items;
  }

  append(item: T): void {
    if (this.#closed) return;
    this.#items.push(item);
    this.#wake();
  }

  /** Ends it, once; with an error, readers get that after the last item. */
  close(error: Error | null = null): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#error = error;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    for (let at = 0; ; ) {
      while (at < this.#items.length) yield this.#items[at++] as T;
      if (this.#closed) break;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    if (this.#error !== null) throw this.#error;
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
