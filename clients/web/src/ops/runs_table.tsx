// The newest runs, one a row.

import { count, duration } from "../kit/format.ts";
import type { Run } from "./answers.ts";
import { Question } from "./parts.tsx";
import { ABANDONED, absenceTitle, LONG_SILENCE_MS } from "./words.ts";

export function RunsTable({ runs, now }: { runs: readonly Run[]; now: number }) {
  return (
    <Question title="The last 50 runs">
      {runs.length === 0 ? (
        <p class="soft">No run yet.</p>
      ) : (
        <div class="scroll runs" role="region" aria-label="The last 50 runs" tabIndex={0}>
          <table>
            <thead>
              <tr>
                <th scope="col">Status</th>
                <th scope="col">Run</th>
                <th scope="col" class="number">Turn</th>
                <th scope="col" class="number">Age</th>
                <th scope="col" class="number">Took</th>
                <th scope="col" class="number">Events</th>
                <th scope="col">Last event</th>
                <th scope="col" class="number">Silence</th>
                <th scope="col" class="number">Attempts</th>
                <th scope="col">Missing</th>
              </tr>
            </thead>
            <tbody>
              {runs.map((run) => (
                <Row key={run.runId} run={run} now={now} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Question>
  );
}

function Row({ run, now }: { run: Run; now: number }) {
  const { silenceMs, endedAt, acceptedAt, attempts } = run;
  const isOpen = endedAt === undefined;
  const isLong = isOpen && silenceMs !== undefined && silenceMs > LONG_SILENCE_MS;
  return (
    <tr class={isOpen ? "open" : undefined}>
      <td>
        <span class={`status ${isOpen ? "open" : known(run.status)}`}>{run.status}</span>
      </td>
      <td class="id">{run.runId}</td>
      <td class="number">{count(run.turn)}</td>
      <td class="number">{duration(now - acceptedAt)}</td>
      <td class="number">{isOpen ? "" : duration(endedAt - acceptedAt)}</td>
      <td class="number">{count(run.events)}</td>
      <td>{run.lastEvent ?? ""}</td>
      <td class={isLong ? "number bad" : "number"}>{isOpen && silenceMs !== undefined ? duration(silenceMs) : ""}</td>
      <td class={attempts > 1 ? "number warn" : "number"}>
        {count(attempts)}
        {isOpen && !run.owned && <span class="soft"> no owner</span>}
      </td>
      <td class={run.absences.every((one) => one === ABANDONED) ? undefined : "bad"}>{run.absences.map(absenceTitle).join(", ")}</td>
    </tr>
  );
}

/** A status as a class of style.css: the server's text is never one. */
function known(status: string): string {
  return ["completed", "failed", "cancelled"].find((one) => one === status) ?? "";
}
