// Numbers and durations as they are read.
import { describe, expect, it } from "vitest";
import { clock, count, DAY, duration, HOUR, MINUTE, several, shortCount, shortDuration } from "../src/kit/format.ts";

describe("durations", () => {
  it.each([
    [-5, "0 ms"],
    [0, "0 ms"],
    [0.4, "0 ms"],
    [999.4, "999 ms"],
    [1000, "1 s"],
    [1250, "1.2 s"],
    [9999, "9.9 s"],
    [59_999, "59 s"],
    [MINUTE, "1 min"],
    [3 * MINUTE + 20_000, "3 min 20 s"],
    [HOUR - 1, "59 min 59 s"],
    [2 * HOUR + 5 * MINUTE, "2 h 5 min"],
    [3 * DAY + 4 * HOUR, "3 d 4 h"],
  ])("%d ms is %s", (ms, said) => expect(duration(ms)).toBe(said));

  it("never claims more time than has passed", () => {
    expect(duration(9_999)).not.toBe("10 s");
    expect(duration(59_999)).not.toBe("60 s");
  });

  it("stays in one unit on a scale", () => {
    expect([1, 100, 1000, 100_000].map(shortDuration)).toEqual(["1 ms", "100 ms", "1 s", "100 s"]);
  });
});

describe("counts", () => {
  it("are whole as long as they can be read", () => {
    expect([0, 7, 1234, 99_999, 1_234_567].map(count)).toEqual(["0", "7", "1,234", "99,999", "1.2M"]);
  });

  it("are short on a scale", () => expect([12, 1500].map(shortCount)).toEqual(["12", "1.5K"]));

  it("agree with their noun", () => {
    expect([several(1, "run"), several(0, "run"), several(2, "entry", "entries")]).toEqual(["1 run", "0 runs", "2 entries"]);
  });
});

describe("times", () => {
  const at = new Date(2026, 10, 23, 7, 5, 9).getTime();

  it("are of the reader's clock", () => expect([clock(at), clock(at, false)]).toEqual(["07:05:09", "07:05"]));
});
