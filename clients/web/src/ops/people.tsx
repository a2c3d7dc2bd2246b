// What do users do? A silence is felt before it is measured: they send again, reload, cancel, leave, come back.

import { count, duration } from "../kit/format.ts";
import type { Overview } from "./answers.ts";
import { Chart } from "./chart.tsx";
import { Findings } from "./findings.tsx";
import { bar, CountTile, frame, meaningOf, Question, Tile } from "./parts.tsx";
import { parts, total } from "./series.ts";
import { ABANDONED } from "./words.ts";

export function People({ overview, open }: { overview: Overview; open: (slug: string) => void }) {
  const abandoned = overview.absence.get(ABANDONED) ?? 0;
  const resent = parts(overview, "ResentWhileRunning").map(([text, much]) => `${count(much)} with ${text} text`);
  return (
    <Question title="What do users do?">
      <dl class="tiles wide">
        <Tile
          label="Sent again"
          value={count(total(overview, "ResentWhileRunning"))}
          note={resent.length > 0 ? `while a run was under way: ${resent.join(", ")}` : meaningOf(overview, "ResentWhileRunning")}
        />
        <CountTile overview={overview} metric="ReloadedWhileRunning" label="Reloaded" />
        <CountTile overview={overview} metric="CancelledByUser" label="Cancelled" />
        <Tile label="Abandoned now" value={count(abandoned)} note={meaningOf(overview, ABANDONED)} />
        <CountTile overview={overview} metric="ReturnedAfterError" label="Back after an error" />
      </dl>
      <Findings label="Left by their users" findings={overview.findings.filter(({ absence }) => absence === ABANDONED)} open={open} />
      <div class="charts one">
        <Chart
          {...frame(overview)}
          title={`What users did, per ${duration(overview.bucketMs)}`}
          unit="count"
          bars={[
            bar(overview, "ResentWhileRunning", "sent again", "amber"),
            bar(overview, "ReloadedWhileRunning", "reloaded", "blue"),
            bar(overview, "CancelledByUser", "cancelled", "grey"),
            bar(overview, "ReturnedAfterError", "back after an error", "violet"),
          ]}
        />
      </div>
    </Question>
  );
}
