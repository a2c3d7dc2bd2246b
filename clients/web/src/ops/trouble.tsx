// What goes wrong? What was survived, or not, and the faults somebody injected.

import { clock, count, duration } from "../kit/format.ts";
import type { Fault, FaultKind, Overview } from "./answers.ts";
import { Chart } from "./chart.tsx";
import { bar, frame, meaningOf, Question } from "./parts.tsx";
import { RunbookLink } from "./runbook_link.tsx";
import { parts, total } from "./series.ts";
import { words } from "./words.ts";

/** Of the delivery group, what is trouble too. */
const BESIDE = ["PostFailed", "Takeovers", "AttemptsExhausted"];

export interface TroubleProps {
  readonly overview: Overview;
  readonly open: (slug: string) => void;
}

export function Trouble({ overview, open }: TroubleProps) {
  const all = [...BESIDE, ...[...overview.catalogue].filter(([, one]) => one.group === "trouble").map(([name]) => name)];
  const some = all.filter((metric) => total(overview, metric) > 0);
  const none = all.filter((metric) => !some.includes(metric));
  return (
    <Question title="What goes wrong?">
      <div class="charts one">
        <Chart
          {...frame(overview)}
          tall
          title={`Trouble, per ${duration(overview.bucketMs)}; dashed: an injected fault`}
          unit="count"
          bars={[
            bar(overview, "PostFailed", "posts failed", "grey"),
            bar(overview, "Takeovers", "takeovers", "blue"),
            bar(overview, "RunRetried", "jobs retried", "amber"),
            bar(overview, "ModelErrors", "model errors", "violet"),
            bar(overview, "RunCrashed", "crashes", "red"),
            bar(overview, "DeadLetter", "dead letters", "pink"),
          ]}
        />
      </div>
      <div class="halves">
        <div>
          <h3>In this window</h3>
          {some.length > 0 && <Troubles overview={overview} metrics={some} />}
          {none.length > 0 && <p class="soft">None of: {none.map((name) => words(name).toLowerCase()).join(", ")}.</p>}
        </div>
        <div>
          <h3>Injected faults</h3>
          {overview.faultKinds.length === 0 ? (
            <p class="soft">None since the server began.</p>
          ) : (
            <FaultKinds kinds={overview.faultKinds} open={open} />
          )}
          {overview.faults.length > 0 && <Faults faults={overview.faults} />}
        </div>
      </div>
    </Question>
  );
}

function Troubles({ overview, metrics }: { overview: Overview; metrics: readonly string[] }) {
  return (
    <table class="troubles">
      <thead class="unseen">
        <tr>
          <th scope="col">How many</th>
          <th scope="col">What</th>
        </tr>
      </thead>
      <tbody>
        {metrics.map((metric) => {
          const kinds = parts(overview, metric).map(([name, much]) => `${name} ${count(much)}`);
          return (
            <tr key={metric}>
              <td class="number">
                <b>{count(total(overview, metric))}</b>
              </td>
              <td>
                {words(metric)}
                {kinds.length > 0 && ` (${kinds.join(", ")})`}
                <span class="soft"> {meaningOf(overview, metric)}</span>
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

/** Each fault by name, counted since the server began, with what it should come to and where to read on. */
function FaultKinds({ kinds, open }: { kinds: readonly FaultKind[]; open: (slug: string) => void }) {
  return (
    <table class="troubles kinds">
      <thead class="unseen">
        <tr>
          <th scope="col">How often since the server began</th>
          <th scope="col">Fault, and what to see then</th>
          <th scope="col">What to do</th>
        </tr>
      </thead>
      <tbody>
        {kinds.map(({ fault, times, see, runbook }) => (
          <tr key={fault}>
            <td class="number">
              <b>{count(times)}</b>
            </td>
            <td>
              <b>{words(fault)}</b> <span class="soft">{see}</span>
            </td>
            <td>
              <RunbookLink runbook={runbook} of={words(fault)} open={open} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Faults({ faults }: { faults: readonly Fault[] }) {
  const newest = [...faults].sort((one, other) => other.at - one.at);
  return (
    <div class="scroll events" role="region" aria-label="Injected faults" tabIndex={0}>
      <table class="faults">
        <thead class="unseen">
          <tr>
            <th scope="col">When</th>
            <th scope="col">Fault</th>
            <th scope="col">Run</th>
          </tr>
        </thead>
        <tbody>
          {newest.map(({ at, fault, runId }, index) => (
            <tr key={index}>
              <td class="number">{clock(at)}</td>
              <td class="fault">{words(fault)}</td>
              <td class="id">{runId ?? ""}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
