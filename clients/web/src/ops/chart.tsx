// A chart: its question's short answer as a title, the plot, and a legend that holds the numbers as text.
// The plot is drawn on a canvas by uPlot; whoever cannot see it reads the legend.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { clock, duration, shortCount, shortDuration } from "../kit/format.ts";
import type { Fault } from "./answers.ts";
import { ceiling, decades, isNothing, stacked, type Values } from "./series.ts";

const HEIGHT = 128;
const TALL = 168;
const AXIS_WIDTH = 46;
const DARK = "(prefers-color-scheme: dark)";
const TICKS = [60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 14_400, 21_600];

/** One of the colours of style.css. */
export type Hue = "teal" | "red" | "grey" | "blue" | "amber" | "violet" | "pink" | "lime";

export interface Line {
  readonly label: string;
  readonly hue: Hue;
  readonly values: Values;
  /** What the legend says while nobody points at a bucket. */
  readonly says: string;
}

export interface ChartProps {
  readonly title: string;
  readonly unit: "count" | "ms";
  /** The beginnings of the buckets, in ms. */
  readonly buckets: readonly number[];
  readonly bucketMs: number;
  readonly bars?: readonly Line[];
  readonly lines?: readonly Line[];
  readonly faults: readonly Fault[];
  readonly tall?: boolean;
}

export function Chart(props: ChartProps) {
  const { title, unit, bars = [], lines = [], buckets, bucketMs, faults, tall = false } = props;
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const marks = useRef<readonly Fault[]>(faults);
  const [pointed, point] = useState<number | undefined>();
  const isDark = useDarkness();
  const height = tall ? TALL : HEIGHT;
  const shown = [...bars, ...lines];
  const look = shown.map((line) => `${line.hue} ${line.label}`).join();
  const data = useMemo(() => plotted(buckets, bars, lines, unit), [buckets, bars, lines, unit]);
  const isEmpty = shown.every((line) => isNothing(line.values, unit));
  marks.current = faults;

  useLayoutEffect(() => {
    const parent = place.current;
    if (parent === null) return undefined;
    const options = drawing({ bars, lines, unit, bucketMs, width: parent.clientWidth, height, marks, point });
    const made = new uPlot(options, data, parent);
    plot.current = made;
    const watch = new ResizeObserver(() => {
      if (parent.clientWidth !== made.width) made.setSize({ width: parent.clientWidth, height });
    });
    watch.observe(parent);
    return () => {
      watch.disconnect();
      made.destroy();
    };
  }, [look, unit, bucketMs, isDark, height]); // new data goes into the plot that is there

  useEffect(() => plot.current?.setData(data), [data]);

  return (
    <figure class={tall ? "chart tall" : "chart"}>
      <figcaption>{title}</figcaption>
      <div class="plot" role="img" aria-label={`${title}: ${shown.map((line) => `${line.label} ${line.says}`).join(", ")}`}>
        <div ref={place} aria-hidden="true" />
        {isEmpty && <p class="none">Nothing in this window</p>}
      </div>
      <ul class="legend">
        {shown.map((line) => (
          <li key={line.label}>
            <span class={`swatch ${line.hue}`} />
            {line.label} <b>{pointed === undefined ? line.says : said(line.values[pointed], unit)}</b>
          </li>
        ))}
        <li class="when">{pointed === undefined ? "" : clock(buckets[pointed] ?? 0)}</li>
      </ul>
    </figure>
  );
}

function said(value: number | null | undefined, unit: ChartProps["unit"]): string {
  if (value === null || value === undefined) return "–";
  return unit === "ms" ? duration(value) : shortCount(value);
}

/** uPlot's columns: seconds, then the stack from its top down, then the lines. */
function plotted(
  buckets: readonly number[],
  bars: readonly Line[],
  lines: readonly Line[],
  unit: ChartProps["unit"],
): uPlot.AlignedData {
  const tops = [...stacked(bars.map((bar) => bar.values))].reverse();
  const rest = lines.map(({ values }) => values.map((one) => (one === null || unit === "count" ? one : Math.max(1, one))));
  return [buckets.map((at) => at / 1000), ...tops.map((top) => [...top]), ...rest];
}

interface Drawing extends Pick<ChartProps, "unit" | "bucketMs"> {
  readonly bars: readonly Line[];
  readonly lines: readonly Line[];
  readonly width: number;
  readonly height: number;
  readonly marks: { readonly current: readonly Fault[] };
  readonly point: (index: number | undefined) => void;
}

function drawing({ bars, lines, unit, bucketMs, width, height, marks, point }: Drawing): uPlot.Options {
  const styles = getComputedStyle(document.documentElement);
  const colour = (name: string): string => styles.getPropertyValue(`--${name}`).trim();
  const font = "11px system-ui, sans-serif";
  const axis = { stroke: colour("soft"), font, ticks: { show: false }, grid: { stroke: colour("line"), width: 1 } };
  const isCount = unit === "count";
  // A bar covers its bucket; so does the step of a line, else the last bucket would have none.
  const bar = uPlot.paths.bars?.({ size: [0.82, 40], align: 1 });
  const step = uPlot.paths.stepped?.({ align: 1 });
  return {
    width,
    height,
    legend: { show: false },
    padding: [8, 18, 0, 0],
    cursor: { y: false, drag: { x: false, y: false }, sync: { key: "ops", setSeries: false }, points: { show: false } },
    scales: {
      x: { time: true, range: (_, from, to) => [from, to + bucketMs / 1000] },
      y: isCount
        ? { range: (_, __, most) => [0, ceiling(most ?? 0)] }
        : { distr: 3, log: 10, range: (_, least, most) => ends(decades(least ?? 1, most ?? 1)) },
    },
    axes: [
      { ...axis, size: 22, gap: 6, space: 54, incrs: TICKS, values: (_, at) => at.map((one) => clock(one * 1000, false)) },
      {
        ...axis,
        size: AXIS_WIDTH,
        gap: 4,
        splits: (_, __, from, to) => (isCount ? [0, to / 2, to] : [...decades(from, to)]),
        values: (_, at) => at.map((one) => (isCount ? shortCount(one) : shortDuration(one))),
      },
    ],
    series: [
      {},
      ...[...bars].reverse().map((one) => ({
        fill: colour(one.hue),
        width: 0,
        points: { show: false },
        ...(bar && { paths: bar }),
      })),
      ...lines.map((one) => ({
        stroke: colour(one.hue),
        width: 1.75,
        spanGaps: !isCount,
        points: isCount ? { show: false } : { size: 4, width: 0, fill: colour(one.hue) },
        ...(isCount && step && { paths: step }),
      })),
    ],
    hooks: {
      setCursor: [(plot) => point(plot.cursor.idx ?? undefined)],
      draw: [(plot) => drawFaults(plot, marks.current, colour("fault"))],
    },
  };
}

function ends(all: readonly number[]): [number, number] {
  return [all[0] ?? 1, all.at(-1) ?? 10];
}

/** A dashed line at each injected fault. */
function drawFaults(plot: uPlot, faults: readonly Fault[], stroke: string): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = stroke;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
  for (const { at } of faults) {
    const x = Math.round(plot.valToPos(at / 1000, "x", true)) + 0.5;
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

function useDarkness(): boolean {
  const [isDark, become] = useState(() => matchMedia(DARK).matches);
  useEffect(() => {
    const query = matchMedia(DARK);
    const changed = (): void => become(query.matches);
    query.addEventListener("change", changed);
    return () => query.removeEventListener("change", changed);
  }, []);
  return isDark;
}
