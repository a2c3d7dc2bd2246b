// Asking: each second while somebody looks, one question at a time, and the last answer stays.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { poll, silentFor, STALE_MS, type Standing, UnknownAnswer } from "../src/kit/poll.ts";

class FakePage extends EventTarget {
  hidden = false;

  turn(hidden: boolean): void {
    this.hidden = hidden;
    this.dispatchEvent(new Event("visibilitychange"));
  }
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function asking(ask: (signal: AbortSignal) => Promise<number>) {
  const page = new FakePage();
  const told: Standing<number>[] = [];
  const asked = vi.fn(ask);
  const stop = poll({ ask: asked, tell: (standing) => told.push(standing), everyMs: 1000, page: page as unknown as Document });
  return { page, told, asked, stop, last: () => told.at(-1) };
}

const settle = (ms = 0) => vi.advanceTimersByTimeAsync(ms);

describe("poll", () => {
  it("asks at once and then a second after each answer", async () => {
    let answers = 0;
    const { asked, last, stop } = asking(() => Promise.resolve(++answers));
    await settle();
    expect(last()?.answer).toBe(1);
    await settle(999);
    expect(asked).toHaveBeenCalledTimes(1);
    await settle(1);
    expect(last()?.answer).toBe(2);
    stop();
  });

  it("asks nothing while an answer is due", async () => {
    const { asked, stop } = asking(() => new Promise(() => undefined));
    await settle(4000);
    expect(asked).toHaveBeenCalledTimes(1);
    stop();
  });

  it("keeps the last answer, and when it came, while the server is away", async () => {
    let isAway = false;
    const { last, stop } = asking(() => (isAway ? Promise.reject(new TypeError("down")) : Promise.resolve(7)));
    await settle();
    const answeredAt = last()?.answeredAt;
    isAway = true;
    await settle(12_000);
    expect(last()).toEqual({ answer: 7, answeredAt, trouble: "The server does not answer." });
    expect(silentFor(last() as Standing<number>, Date.now())).toBe(12_000);
    isAway = false;
    await settle(1000);
    expect(last()?.trouble).toBeUndefined();
    expect(silentFor(last() as Standing<number>, Date.now())).toBe(0);
    stop();
  });

  it("gives an answer up that does not come, and asks on", async () => {
    const { asked, last, stop } = asking(
      (signal) => new Promise((_, refuse) => signal.addEventListener("abort", () => refuse(new Error("late")))),
    );
    await settle(5000);
    expect(last()?.trouble).toBe("The server does not answer.");
    await settle(1000);
    expect(asked).toHaveBeenCalledTimes(2);
    stop();
  });

  it("says what is wrong with an answer that it does not know", async () => {
    const { last, stop } = asking(() => Promise.reject(new UnknownAnswer("now is not a number")));
    await settle();
    expect(last()?.trouble).toBe("now is not a number");
    stop();
  });

  it("rests while the page is hidden, and asks at once when it is looked at", async () => {
    const { page, asked, stop } = asking(() => Promise.resolve(1));
    await settle();
    page.turn(true);
    await settle(60_000);
    expect(asked).toHaveBeenCalledTimes(1);
    page.turn(false);
    await settle();
    expect(asked).toHaveBeenCalledTimes(2);
    stop();
  });

  it("rests also where the answer comes when nobody looks any more", async () => {
    let answer: (value: number) => void = () => undefined;
    const { page, asked, last, stop } = asking(() => new Promise((resolve) => (answer = resolve)));
    page.turn(true);
    answer(1);
    await settle(60_000);
    expect(last()?.answer).toBe(1);
    expect(asked).toHaveBeenCalledTimes(1);
    stop();
  });

  it("tells nothing more once it is stopped", async () => {
    let answer: (value: number) => void = () => undefined;
    const { told, asked, page, stop } = asking(() => new Promise((resolve) => (answer = resolve)));
    stop();
    answer(1);
    page.turn(true);
    page.turn(false);
    await settle(10_000);
    expect(told).toEqual([]);
    expect(asked).toHaveBeenCalledTimes(1);
  });
});

describe("staleness", () => {
  it("begins when an answer is older than a slow server's", () => {
    const standing = { answer: 1, answeredAt: 1000, trouble: undefined };
    expect(silentFor(standing, 1000 + STALE_MS)).toBe(0);
    expect(silentFor(standing, 1001 + STALE_MS)).toBe(STALE_MS + 1);
  });
});
