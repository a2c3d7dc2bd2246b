// From series to what a chart draws.
import { describe, expect, it } from "vitest";
import { ceiling, column, counted, decades, grid, isNothing, largest, latest, parts, stacked, total } from "../src/ops/series.ts";
import { NOW, overviewOf } from "./overview.ts";

const FIRST = 1_000_000_000; // the bucket that holds `from`
const at = (...places: number[]) => places.map((place) => FIRST + place * 10_000);

describe("the grid", () => {
  it("has every bucket that the window touches", () => {
    expect(grid(overviewOf())).toEqual(at(0, 1, 2, 3, 4, 5, 6));
    expect(grid(overviewOf({ from: NOW }))).toEqual(at(6));
  });
});

describe("counts", () => {
  const overview = overviewOf({
    series: {
      "PostFailed.gone": { t: at(1, 3), v: [2, 1] },
      "PostFailed.slow": { t: at(3, 99), v: [4, 5] },
      PostFailedElsewhere: { t: at(1), v: [70] },
    },
    totals: { "PostFailed.gone": 3, "PostFailed.slow": 9, "PostFailed.other": 0, PostFailedElsewhere: 70 },
  });

  it("add up over a dimension; nothing is 0, and what is outside of the window is left out", () => {
    expect(counted(overview, "PostFailed")).toEqual([0, 2, 0, 5, 0, 0, 0]);
    expect(counted(overview, "Unheard")).toEqual([0, 0, 0, 0, 0, 0, 0]);
    expect(total(overview, "PostFailed")).toBe(12);
  });

  it("are told apart, the most first", () => {
    expect(parts(overview, "PostFailed")).toEqual([
      ["slow", 9],
      ["gone", 3],
    ]);
    expect(parts(overview, "PostFailedElsewhere")).toEqual([]);
  });
});

describe("a column", () => {
  const overview = overviewOf({ series: { JobAge: { t: at(0, 2, 3), p50: [5, null, 7], p99: [9, 9, 9], n: [1, 1, 1] } } });

  it("has a gap where there is no value", () => {
    expect(column(overview, "JobAge", "p50")).toEqual([5, null, null, 7, null, null, null]);
    expect(column(overview, "JobAge", "v")).toEqual([null, null, null, null, null, null, null]);
  });

  it("is laid by time also where a bucket is named off its beginning", () => {
    const off = overviewOf({ series: { A: { t: [FIRST + 12_345], v: [1] } } });
    expect(column(off, "A", "v")[1]).toBe(1);
  });

  it("has a largest and a latest value, or none", () => {
    const values = column(overview, "JobAge", "p50");
    expect([largest(values), latest(values)]).toEqual([7, 7]);
    expect([largest([null]), latest([])]).toEqual([undefined, undefined]);
    expect(latest([3, 0, null])).toBe(0);
  });
});

describe("stacks", () => {
  it("stand on one another, and a gap is no step", () => {
    expect(stacked([[1, null], [2, 3], [0, 1]])).toEqual([
      [1, 0],
      [3, 3],
      [3, 4],
    ]);
  });
});

describe("scales", () => {
  it.each([
    [0, 4],
    [4, 4],
    [5, 6],
    [9, 10],
    [11, 12],
    [13, 16],
    [17, 20],
    [21, 30],
    [101, 120],
    [900, 1000],
    [1001, 1200],
  ])("of a count that reaches %d ends at %d", (most, top) => expect(ceiling(most)).toBe(top));

  it("of counts hold what they have to, with a whole half", () => {
    for (let most = 0; most < 3000; most += 7) {
      expect(ceiling(most)).toBeGreaterThanOrEqual(most);
      expect(ceiling(most) % 2).toBe(0);
    }
  });

  it("of durations are the powers of ten around them", () => {
    expect(decades(30, 4000)).toEqual([10, 100, 1000, 10_000]);
    expect(decades(1, 1)).toEqual([1, 10]);
    expect(decades(0, 0.5)).toEqual([1, 10]);
  });
});

describe("a chart", () => {
  it("is empty of counts that are 0, and not of times that are", () => {
    expect(isNothing([null, 0], "count")).toBe(true);
    expect(isNothing([null, 0], "ms")).toBe(false);
    expect(isNothing([null, null], "ms")).toBe(true);
    expect(isNothing([0, 1], "count")).toBe(false);
  });
});
