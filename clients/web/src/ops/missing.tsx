// What is missing? What the auditor did not find, seen from outside: a counter for each absence, and each finding.

import { count, duration, several } from "../kit/format.ts";
import type { Overview } from "./answers.ts";
import { Chart, type Hue } from "./chart.tsx";
import { Findings } from "./findings.tsx";
import { frame, meaningOf, Question, Tile } from "./parts.tsx";
import { column, largest } from "./series.ts";
import { ABANDONED, ABSENCES, absenceTitle, auditLate } from "./words.ts";

const HUES: readonly Hue[] = ["red", "amber", "violet", "blue", "pink"];

export interface MissingProps {
  readonly overview: Overview;
  readonly open: (slug: string) => void;
}

export function Missing({ overview, open }: MissingProps) {
  const late = auditLate(overview);
  const unlisted = [...overview.absence.keys()].filter(
    (name) => !Object.hasOwn(ABSENCES, name) && name !== ABANDONED,
  );
  return (
    <Question title="What is missing?">
      <p class={late === 0 ? "soft" : "verdict bad"}>{auditor(overview, late)}</p>
      <dl class="tiles wide">
        {[...Object.keys(ABSENCES), ...unlisted].map((name) => {
          const much = overview.absence.get(name) ?? 0;
          const mood = much > 0 ? "bad" : "good";
          return (
            <Tile key={name} label={absenceTitle(name)} value={count(much)} note={meaningOf(overview, name)} mood={mood} />
          );
        })}
      </dl>
      <Findings label="Findings" findings={overview.findings.filter(({ absence }) => absence !== ABANDONED)} open={open} />
      <div class="charts one">
        <Chart
          {...frame(overview)}
          title="Runs that lacked something, mended or not; dashed: an injected fault"
          unit="count"
          bars={Object.entries(ABSENCES).map(([name, label], place) => {
            const values = column(overview, name, "v");
            const most = largest(values) ?? 0;
            return { label, hue: HUES[place] ?? "grey", values, says: most > 0 ? `${count(most)} at most` : "0" };
          })}
        />
      </div>
    </Question>
  );
}

function auditor({ now, auditedAt, totals }: Overview, late: number | undefined): string {
  if (auditedAt === undefined) return "The auditor has not looked yet.";
  if (late !== undefined && late > 0) return `The auditor itself is missing: it has not looked for ${duration(late)}.`;
  const looked = `The auditor looked ${duration(Math.max(0, now - auditedAt))} ago`;
  const audited = totals.get("RunsAudited");
  return audited === undefined ? `${looked}.` : `${looked}; ${several(audited, "look")} at runs in this window.`;
}
