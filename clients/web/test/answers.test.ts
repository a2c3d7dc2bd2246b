// What the server says is read field by field, and what it does not say is not guessed.
import { describe, expect, it } from "vitest";
import { readOverview, readRuns } from "../src/ops/answers.ts";
import { Json } from "../src/kit/json.ts";
import { NOW, overviewOf, said } from "./overview.ts";

describe("an overview", () => {
  it("is read whole", () => {
    const read = overviewOf({
      series: { JobAge: { t: [NOW], p50: [1], p99: [null], n: [2] } },
      totals: { MessageAccepted: 3, JobAge: null },
      findings: [{ run_id: "r", absence: "RunsWithoutTerminal", waits_ms: 5, runbook: "operations.md#x" }],
      faults: [{ at: 1, fault: "kill_runner", run_id: null }],
      fault_kinds: [{ fault: "kill_runner", times: 2, see: "a pause", runbook: "operations.md#x" }],
      catalogue: { JobAge: { group: "delivery", unit: "Milliseconds", meaning: "a wait", gauge: false } },
    });
    expect(read.bucketMs).toBe(10_000);
    expect(read.series.get("JobAge")?.columns).toEqual({ v: undefined, p50: [1], p99: [undefined], n: [2] });
    expect([...read.totals]).toEqual([["MessageAccepted", 3]]);
    expect(read.findings).toEqual([{ runId: "r", absence: "RunsWithoutTerminal", waitsMs: 5, runbook: "operations.md#x" }]);
    expect(read.faults).toEqual([{ at: 1, fault: "kill_runner", runId: undefined }]);
    expect(read.faultKinds).toEqual([{ fault: "kill_runner", times: 2, see: "a pause", runbook: "operations.md#x" }]);
    expect(read.auditedAt).toBe(NOW - 1000);
    expect(overviewOf({ audited_ms: null }).auditedAt).toBeUndefined();
  });

  it("takes a metric that is called like an object's own machinery for a name", () => {
    const hostile = JSON.parse('{"__proto__": 1, "constructor": 2}') as unknown;
    expect([...overviewOf({ totals: hostile }).totals]).toEqual([
      ["__proto__", 1],
      ["constructor", 2],
    ]);
  });

  it.each([
    [{ now: "soon" }, "overview.now is not a number"],
    [{ findings: {} }, "overview.findings is not a list"],
    [{ findings: [{ run_id: 7 }] }, "overview.findings[0].run_id is not a text"],
    [{ fault_kinds: [{ fault: "x" }] }, "overview.fault_kinds[0].times is not a number"],
    [{ absence: [] }, "overview.absence is not an object"],
    [{ catalogue: { A: { group: "", unit: "", meaning: "", gauge: 1 } } }, "overview.catalogue.A.gauge is not true or false"],
  ])("is refused where it is not of its shape", (changes, complaint) => {
    expect(() => readOverview(new Json(said(changes), "overview"))).toThrow(complaint);
  });
});

describe("runs", () => {
  const row = {
    run_id: "r",
    turn: 1,
    status: "running",
    accepted_ms: 1,
    ended_ms: null,
    events: 0,
    last_event: null,
    last_event_ms: null,
    silence_ms: null,
    attempts: 0,
    owned: false,
    absences: [],
  };

  it("may have no event yet", () => {
    expect(readRuns(new Json({ now: 1, runs: [row] }, "runs"))[0]).toMatchObject({ lastEvent: undefined, endedAt: undefined });
  });
});
