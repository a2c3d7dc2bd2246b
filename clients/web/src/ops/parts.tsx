// What the sections are made of: a question with its answer, a number with its meaning, the usual charts.

import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import { count, duration } from "../kit/format.ts";
import type { Overview } from "./answers.ts";
import { Chart, type Hue, type Line } from "./chart.tsx";
import { column, counted, grid, largest, latest, total } from "./series.ts";

export function Question({ title, children }: { title: string; children: ComponentChildren }) {
  const id = useId();
  return (
    <section aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      {children}
    </section>
  );
}

export interface TileProps {
  readonly label: string;
  readonly value: string;
  readonly note?: string | undefined;
  readonly mood?: "good" | "bad" | undefined;
}

export function Tile({ label, value, note, mood }: TileProps) {
  return (
    <div class={mood === undefined ? "tile" : `tile ${mood}`}>
      <dt>{label}</dt>
      <dd class="big">{value}</dd>
      {note !== undefined && <dd class="note">{note}</dd>}
    </div>
  );
}

/** What a metric means, as the server's catalogue has it. */
export function meaningOf(overview: Overview, metric: string): string | undefined {
  return overview.catalogue.get(metric)?.meaning;
}

/** A counter of the window, with its meaning. */
export function CountTile({ overview, metric, label }: { overview: Overview; metric: string; label: string }) {
  return <Tile label={label} value={count(total(overview, metric))} note={meaningOf(overview, metric)} />;
}

/** What was counted, as bars; the legend has the window's sum. */
export function bar(overview: Overview, metric: string, label: string, hue: Hue): Line {
  return { label, hue, values: counted(overview, metric), says: count(total(overview, metric)) };
}

/** A gauge; the legend has the latest value. */
export function level(overview: Overview, metric: string, label: string, hue: Hue): Line {
  const values = column(overview, metric, "v");
  return { label, hue, values, says: count(latest(values) ?? 0) };
}

/** The median and the slowest of a hundred of a duration. */
export function TimeChart({ overview, metric, title }: { overview: Overview; metric: string; title: string }) {
  const [p50, p99] = [column(overview, metric, "p50"), column(overview, metric, "p99")];
  const lines: Line[] = [
    { label: "p50", hue: "teal", values: p50, says: spell(latest(p50)) },
    { label: "p99", hue: "amber", values: p99, says: `${spell(latest(p99))}, worst ${spell(largest(p99))}` },
  ];
  return <Chart {...frame(overview)} title={title} unit="ms" lines={lines} />;
}

/** What all charts of an overview share. */
export function frame(overview: Overview) {
  return { buckets: grid(overview), bucketMs: overview.bucketMs, faults: overview.faults };
}

function spell(ms: number | undefined): string {
  return ms === undefined ? "–" : duration(ms);
}
