// Asks the server again and again while somebody looks, and keeps the last answer while it is away.

const ANSWER_MS = 5000;
/** As long as an answer may be old before one says so. */
export const STALE_MS = 3000;

/** What is known of the server.
 *
 * `answer` stays when the server goes. `answeredAt` is when it came, or when the asking began, on this machine's clock.
 * `trouble` is a sentence while the latest try failed.
 */
export interface Standing<T> {
  readonly answer: T | undefined;
  readonly answeredAt: number;
  readonly trouble: string | undefined;
}

export interface PollOptions<T> {
  readonly ask: (signal: AbortSignal) => Promise<T>;
  readonly tell: (standing: Standing<T>) => void;
  readonly everyMs: number;
  readonly page?: Pick<Document, "hidden" | "addEventListener" | "removeEventListener">;
  readonly now?: () => number;
}

/** An answer that is none the page knows: no use to wait for a better one, but it asks on. */
export class UnknownAnswer extends Error {}

/** Starts asking and returns what stops it. While the page is hidden it does not ask. */
export function poll<T>({ ask, tell, everyMs, page = document, now = Date.now }: PollOptions<T>): () => void {
  let standing: Standing<T> = { answer: undefined, answeredAt: now(), trouble: undefined };
  let timer: ReturnType<typeof setTimeout> | undefined;
  let asking: AbortController | undefined;

  async function once(): Promise<void> {
    const mine = new AbortController();
    asking = mine;
    const late = setTimeout(() => mine.abort(), ANSWER_MS);
    try {
      const answer = await ask(mine.signal);
      if (asking === mine) standing = { answer, answeredAt: now(), trouble: undefined };
    } catch (error) {
      standing = { ...standing, trouble: error instanceof UnknownAnswer ? error.message : "The server does not answer." };
    } finally {
      clearTimeout(late);
    }
    if (asking !== mine) return; // stopped, or begun anew, meanwhile
    asking = undefined;
    tell(standing);
    if (!page.hidden) timer = setTimeout(() => void once(), everyMs);
  }

  function look(): void {
    if (page.hidden) clearTimeout(timer);
    else if (asking === undefined) {
      clearTimeout(timer);
      void once();
    }
  }

  page.addEventListener("visibilitychange", look);
  look();
  return () => {
    page.removeEventListener("visibilitychange", look);
    clearTimeout(timer);
    asking?.abort();
    asking = undefined;
  };
}

/** For how long the server has not answered, in ms; 0 while it does. */
export function silentFor(standing: Standing<unknown>, now: number): number {
  const age = now - standing.answeredAt;
  return age > STALE_MS ? age : 0;
}
