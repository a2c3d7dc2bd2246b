// What the auditor found, one run a row, each with its runbook.

import { duration } from "../kit/format.ts";
import type { Finding } from "./answers.ts";
import { RunbookLink } from "./runbook_link.tsx";
import { absenceTitle } from "./words.ts";

export interface FindingsProps {
  readonly label: string;
  readonly findings: readonly Finding[];
  readonly open: (slug: string) => void;
}

export function Findings({ label, findings, open }: FindingsProps) {
  if (findings.length === 0) return null;
  return (
    <div class="scroll" role="region" aria-label={label} tabIndex={0}>
      <table class="findings">
        <thead>
          <tr>
            <th scope="col">Missing</th>
            <th scope="col">Run</th>
            <th scope="col" class="number">
              For
            </th>
            <th scope="col">What to do</th>
          </tr>
        </thead>
        <tbody>
          {findings.map(({ runId, absence, waitsMs, runbook }) => (
            <tr key={`${runId} ${absence}`}>
              <td class="bad">{absenceTitle(absence)}</td>
              <td class="id">{runId}</td>
              <td class="number">{duration(waitsMs)}</td>
              <td>
                <RunbookLink runbook={runbook} of={absenceTitle(absence)} open={open} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
