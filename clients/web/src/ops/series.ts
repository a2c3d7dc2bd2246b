// From the server's series to what a chart draws: one grid of buckets for all, stacks, scales. Pure.

import type { Column, Overview } from "./answers.ts";

export type Values = readonly (number | null)[];

/** The beginnings of all buckets of a window, in ms. */
export function grid({ from, now, bucketMs }: Pick<Overview, "from" | "now" | "bucketMs">): readonly number[] {
  const first = Math.floor(from / bucketMs);
  const last = Math.floor(now / bucketMs);
  return Array.from({ length: Math.max(1, last - first + 1) }, (_, index) => (first + index) * bucketMs);
}

/** A series laid on the grid; where it has no value there is null. */
export function column(overview: Overview, key: string, which: Column): Values {
  const buckets = grid(overview);
  const laid: (number | null)[] = buckets.map(() => null);
  const series = overview.series.get(key);
  const first = buckets[0] ?? 0;
  series?.t.forEach((at, index) => {
    const place = Math.floor(at / overview.bucketMs) - first / overview.bucketMs;
    const value = series.columns[which]?.[index];
    if (place in laid && value !== undefined) laid[place] = value;
  });
  return laid;
}

/** What happened in each bucket, over all values of a metric's dimension: nothing there is 0. */
export function counted(overview: Overview, metric: string): Values {
  const laid = keysOf(overview.series.keys(), metric).map((key) => column(overview, key, "v"));
  return grid(overview).map((_, place) => laid.reduce((sum, one) => sum + (one[place] ?? 0), 0));
}

/** How much there was in the whole window, over all values of a metric's dimension. */
export function total(overview: Overview, metric: string): number {
  return keysOf(overview.totals.keys(), metric).reduce((sum, key) => sum + (overview.totals.get(key) ?? 0), 0);
}

/** The values of a metric's dimension that there was something of, the largest first. */
export function parts(overview: Overview, metric: string): readonly (readonly [name: string, total: number])[] {
  return keysOf(overview.totals.keys(), metric)
    .map((key): [string, number] => [key.slice(metric.length + 1), overview.totals.get(key) ?? 0])
    .filter(([name, number]) => name !== "" && number > 0)
    .sort(([, one], [, other]) => other - one);
}

function keysOf(keys: Iterable<string>, metric: string): string[] {
  return [...keys].filter((key) => key === metric || key.startsWith(`${metric}.`));
}

/** The tops of bars that stand on one another, the lowest first. */
export function stacked(bars: readonly Values[]): readonly Values[] {
  const sums: number[] = [];
  return bars.map((bar) => bar.map((value, place) => (sums[place] = (sums[place] ?? 0) + (value ?? 0))));
}

export function largest(values: Values): number | undefined {
  return values.reduce<number | undefined>(
    (most, value) => (value === null ? most : Math.max(most ?? value, value)),
    undefined,
  );
}

export function latest(values: Values): number | undefined {
  return values.findLast((value) => value !== null) ?? undefined;
}

const STEPS = [1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10];
const LEAST_TOP = 4;

/** Where the scale of a count ends: a round number whose half is whole. */
export function ceiling(most: number): number {
  if (most <= LEAST_TOP) return LEAST_TOP;
  const power = 10 ** Math.floor(Math.log10(most));
  const top = (STEPS.find((step) => step * power >= most) ?? 10) * power;
  return Math.round(top) % 2 === 0 ? Math.round(top) : ceiling(most + 1);
}

/** The powers of ten around durations; a duration under 1 ms counts as 1 ms. */
export function decades(least: number, most: number): readonly number[] {
  const low = Math.floor(Math.log10(Math.max(1, least)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(1, most))));
  return Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index));
}

/** Whether there is nothing to draw. What took 0 ms was there; of what is counted 0 is nothing. */
export function isNothing(values: Values, unit: "count" | "ms"): boolean {
  return values.every((value) => value === null || (value === 0 && unit === "count"));
}
