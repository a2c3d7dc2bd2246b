// The verdict, and the names.
import { describe, expect, it } from "vitest";
import { absenceTitle, auditLate, missing, silence, verdict, words } from "../src/ops/words.ts";
import { NOW, overviewOf } from "./overview.ts";

describe("the verdict", () => {
  it("is yes where the auditor looked and found nothing", () => {
    expect(verdict(overviewOf({ totals: { "TerminalReached.completed": 3 } }))).toEqual({
      mood: "good",
      short: "Yes",
      long: "Nothing is missing and no run failed.",
    });
    expect(verdict(overviewOf()).long).toBe("Nothing is missing.");
  });

  it("is bad where something is missing, whatever else", () => {
    const gone = overviewOf({ absence: { RunsWithoutTerminal: 1, JournalViolations: 1 }, audited_ms: null });
    expect(verdict(gone)).toMatchObject({ mood: "bad", long: "Runs without an end: 1; Broken journals: 1." });
  });

  it("tells failed runs", () => {
    const totals = { "TerminalReached.failed": 1, "TerminalReached.completed": 9 };
    expect(verdict(overviewOf({ totals }))).toMatchObject({
      mood: "bad",
      long: "Nothing is missing, but 1 run of 10 ended in an error.",
    });
  });

  it("is never yes where nobody has looked", () => {
    expect(verdict(overviewOf({ audited_ms: null })).mood).toBe("unknown");
    expect(verdict(overviewOf({ audited_ms: NOW - 16_000 }))).toMatchObject({
      mood: "unknown",
      long: "The auditor has not looked for 16 s.",
    });
  });
});

describe("the auditor", () => {
  it("is late after several of its rounds", () => {
    expect(auditLate(overviewOf({ audited_ms: NOW - 15_000 }))).toBe(0);
    expect(auditLate(overviewOf({ audited_ms: NOW - 15_001 }))).toBe(15_001);
    expect(auditLate(overviewOf({ audited_ms: null }))).toBeUndefined();
  });

  it("does not count users who left as something missing", () => {
    expect(missing(overviewOf({ absence: { AbandonedWhileRunning: 5, PostedWithoutReceipt: 2 } }))).toBe(2);
  });
});

describe("names", () => {
  it("become words", () => {
    expect([words("RunsWithoutTerminal"), words("kill_runner"), words("")]).toEqual(["Runs without terminal", "Kill runner", ""]);
  });

  it("of absences have titles, and those nobody told us of their own words", () => {
    expect(absenceTitle("JournalViolations")).toBe("Broken journals");
    expect(absenceTitle("SomethingNew")).toBe("Something new");
    expect(absenceTitle("constructor")).toBe("Constructor");
  });
});

describe("silence", () => {
  it("is told in whole seconds", () => expect([silence(3456), silence(12_999)]).toEqual(["no answer since 3 s", "no answer since 12 s"]));
});
