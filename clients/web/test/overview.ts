// An overview as the server says it, but for the changes.
import { type Overview, readOverview } from "../src/ops/answers.ts";
import { Json } from "../src/kit/json.ts";

export const NOW = 1_000_065_000;

export function said(changes: Readonly<Record<string, unknown>> = {}): unknown {
  return {
    now: NOW,
    from: NOW - 60_000,
    bucket_s: 10,
    series: {},
    totals: {},
    open_runs: 0,
    connections: 0,
    absence: { RunsWithoutTerminal: 0, AbandonedWhileRunning: 0 },
    findings: [],
    audited_ms: NOW - 1000,
    faults: [],
    fault_kinds: [],
    catalogue: {},
    ...changes,
  };
}

export function overviewOf(changes: Readonly<Record<string, unknown>> = {}): Overview {
  return readOverview(new Json(said(changes), "overview"));
}
