// Are users being served? What came in, how it ended, what is open.

import { count, duration } from "../kit/format.ts";
import type { Overview } from "./answers.ts";
import { Chart, type Line } from "./chart.tsx";
import { bar, frame, level, Question, Tile } from "./parts.tsx";
import { column, total } from "./series.ts";
import { verdict } from "./words.ts";

export function Served({ overview }: { overview: Overview }) {
  const { mood, short, long } = verdict(overview);
  const of = (outcome: string): number => overview.totals.get(`TerminalReached.${outcome}`) ?? 0;
  const failed = of("failed");
  return (
    <Question title="Are users being served?">
      <p class={`verdict ${mood}`} role="status">
        <strong>{short}.</strong> {long}
      </p>
      <dl class="tiles">
        <Tile label="Messages" value={count(total(overview, "MessageAccepted"))} note="accepted in this window" />
        <Tile label="Completed" value={count(of("completed"))} note={share(of("completed"), total(overview, "TerminalReached"))} />
        <Tile label="Failed" value={count(failed)} note="ended in an error" mood={failed > 0 ? "bad" : undefined} />
        <Tile label="Cancelled" value={count(of("cancelled"))} note="their users wanted it" />
        <Tile label="Open runs" value={count(overview.openRuns)} note="now" />
        <Tile label="Connections" value={count(overview.connections)} note="now" />
      </dl>
      <div class="charts two">
        <Chart
          {...frame(overview)}
          title={`Messages, and how runs ended, per ${duration(overview.bucketMs)}`}
          unit="count"
          bars={[outcome(overview, "completed", "teal"), outcome(overview, "failed", "red"), outcome(overview, "cancelled", "grey")]}
          lines={[bar(overview, "MessageAccepted", "messages", "blue")]}
        />
        <Chart {...frame(overview)} title="Open runs" unit="count" lines={[level(overview, "OpenRuns", "open", "blue")]} />
      </div>
    </Question>
  );
}

function outcome(overview: Overview, name: string, hue: Line["hue"]): Line {
  const key = `TerminalReached.${name}`;
  return { label: name, hue, values: column(overview, key, "v"), says: count(overview.totals.get(key) ?? 0) };
}

function share(part: number, whole: number): string {
  return whole === 0 ? "none ended yet" : `${count((100 * part) / whole)} % of those that ended`;
}
