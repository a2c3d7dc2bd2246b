// What /ops/overview.json and /ops/runs.json say. Times are ms since 1970, durations ms.

import { fetchJson, type Json } from "../kit/json.ts";

/** One value for each bucket, or none. `t` is where a bucket begins. */
export interface Series {
  readonly t: readonly number[];
  readonly columns: Readonly<Record<Column, readonly (number | undefined)[] | undefined>>;
}

/** `v`: a sum or a gauge's largest; the others: of a duration. */
export type Column = "v" | "p50" | "p99" | "n";

export interface Meaning {
  readonly group: string;
  readonly unit: string;
  readonly meaning: string;
  readonly gauge: boolean;
}

export interface Finding {
  readonly runId: string;
  readonly absence: string;
  readonly waitsMs: number;
  readonly runbook: string;
}

export interface Fault {
  readonly at: number;
  readonly fault: string;
  readonly runId: string | undefined;
}

/** A fault that has happened since the server began. */
export interface FaultKind {
  readonly fault: string;
  readonly times: number;
  /** What somebody who looks should see then. */
  readonly see: string;
  readonly runbook: string;
}

export interface Overview {
  readonly now: number;
  readonly from: number;
  readonly bucketMs: number;
  readonly series: ReadonlyMap<string, Series>;
  readonly totals: ReadonlyMap<string, number>;
  readonly openRuns: number;
  readonly connections: number;
  readonly absence: ReadonlyMap<string, number>;
  readonly findings: readonly Finding[];
  readonly auditedAt: number | undefined;
  readonly faults: readonly Fault[];
  readonly faultKinds: readonly FaultKind[];
  readonly catalogue: ReadonlyMap<string, Meaning>;
}

export interface Run {
  readonly runId: string;
  readonly turn: number;
  readonly status: string;
  readonly acceptedAt: number;
  readonly endedAt: number | undefined;
  readonly events: number;
  readonly lastEvent: string | undefined;
  readonly silenceMs: number | undefined;
  readonly attempts: number;
  readonly owned: boolean;
  readonly absences: readonly string[];
}

const number = (json: Json): number => json.number();
const text = (json: Json): string => json.text();
const value = (json: Json): number | undefined => json.maybe(number);
const values = (json: Json) => json.maybe((column) => column.list(value));

export async function overview(minutes: number, signal: AbortSignal): Promise<Overview> {
  return readOverview(await fetchJson(`/ops/overview.json?minutes=${minutes}`, signal));
}

export async function runs(signal: AbortSignal): Promise<readonly Run[]> {
  return readRuns(await fetchJson("/ops/runs.json", signal));
}

export function readOverview(json: Json): Overview {
  return {
    now: json.at("now").number(),
    from: json.at("from").number(),
    bucketMs: json.at("bucket_s").number() * 1000,
    series: json.at("series").table(readSeries),
    totals: known(json.at("totals").table(value)),
    openRuns: json.at("open_runs").number(),
    connections: json.at("connections").number(),
    absence: json.at("absence").table(number),
    findings: json.at("findings").list((one) => ({
      runId: one.at("run_id").text(),
      absence: one.at("absence").text(),
      waitsMs: one.at("waits_ms").number(),
      runbook: one.at("runbook").text(),
    })),
    auditedAt: json.at("audited_ms").maybe(number),
    faults: json.at("faults").list((one) => ({
      at: one.at("at").number(),
      fault: one.at("fault").text(),
      runId: one.at("run_id").maybe(text),
    })),
    faultKinds: json.at("fault_kinds").list((one) => ({
      fault: one.at("fault").text(),
      times: one.at("times").number(),
      see: one.at("see").text(),
      runbook: one.at("runbook").text(),
    })),
    catalogue: json.at("catalogue").table((one) => ({
      group: one.at("group").text(),
      unit: one.at("unit").text(),
      meaning: one.at("meaning").text(),
      gauge: one.at("gauge").flag(),
    })),
  };
}

export function readRuns(json: Json): readonly Run[] {
  return json.at("runs").list((one) => ({
    runId: one.at("run_id").text(),
    turn: one.at("turn").number(),
    status: one.at("status").text(),
    acceptedAt: one.at("accepted_ms").number(),
    endedAt: one.at("ended_ms").maybe(number),
    events: one.at("events").number(),
    lastEvent: one.at("last_event").maybe(text),
    silenceMs: one.at("silence_ms").maybe(number),
    attempts: one.at("attempts").number(),
    owned: one.at("owned").flag(),
    absences: one.at("absences").list(text),
  }));
}

function readSeries(json: Json): Series {
  return {
    t: json.at("t").list(number),
    columns: { v: values(json.at("v")), p50: values(json.at("p50")), p99: values(json.at("p99")), n: values(json.at("n")) },
  };
}

function known(table: Map<string, number | undefined>): Map<string, number> {
  return new Map([...table].filter((entry): entry is [string, number] => entry[1] !== undefined));
}
