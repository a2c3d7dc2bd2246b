// What the page calls things, and the sentence that sums them up. Pure.

import { count, duration, several } from "../kit/format.ts";
import type { Overview } from "./answers.ts";
import { total } from "./series.ts";

/** The auditor finds it beside the absences, and it is none: it stands with what users do. */
export const ABANDONED = "AbandonedWhileRunning";

/** The absences, in the order of a run's life. */
export const ABSENCES: Readonly<Record<string, string>> = {
  AcceptedWithoutAgentStarted: "Accepted, never begun",
  ToolExecutingWithoutToolCompleted: "A tool without its end",
  RunsWithoutTerminal: "Runs without an end",
  PostedWithoutReceipt: "Sent, never received",
  JournalViolations: "Broken journals",
};

/** A metric's or an absence's name as words: `RunsWithoutTerminal` is "Runs without terminal". */
export function words(name: string): string {
  const apart = name.replaceAll("_", " ").replaceAll(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();
  return apart.charAt(0).toUpperCase() + apart.slice(1);
}

export function absenceTitle(name: string): string {
  if (name === ABANDONED) return "Left by its user";
  return (Object.hasOwn(ABSENCES, name) ? ABSENCES[name] : undefined) ?? words(name);
}

/** How long the auditor may be silent before its silence is a finding of its own: several of its rounds. */
export const AUDIT_LATE_MS = 15_000;

export type Mood = "good" | "bad" | "unknown";

export interface Verdict {
  readonly mood: Mood;
  readonly short: string;
  readonly long: string;
}

/** How many things are missing. */
export function missing(overview: Overview): number {
  return found(overview).reduce((sum, [, much]) => sum + much, 0);
}

function listed(overview: Overview): string {
  return found(overview)
    .map(([name, much]) => `${absenceTitle(name)}: ${count(much)}`)
    .join("; ");
}

function found(overview: Overview): readonly (readonly [name: string, much: number])[] {
  return [...overview.absence].filter(([name, much]) => much > 0 && name !== ABANDONED);
}

/** For how long nobody has audited, in ms; undefined where nobody ever has. 0 while it is in time. */
export function auditLate(overview: Overview): number | undefined {
  if (overview.auditedAt === undefined) return undefined;
  const age = overview.now - overview.auditedAt;
  return age > AUDIT_LATE_MS ? age : 0;
}

/** Whether users are being served, in a word and a sentence. Who did not look does not say yes. */
export function verdict(overview: Overview): Verdict {
  const late = auditLate(overview);
  const gone = missing(overview);
  if (gone > 0) {
    return { mood: "bad", short: "Something is missing", long: `${listed(overview)}.` };
  }
  if (late === undefined) return { mood: "unknown", short: "Not known yet", long: "The auditor has not looked yet." };
  if (late > 0) {
    return { mood: "unknown", short: "Not known", long: `The auditor has not looked for ${duration(late)}.` };
  }
  const failed = overview.totals.get("TerminalReached.failed") ?? 0;
  const ended = total(overview, "TerminalReached");
  if (failed > 0) {
    return {
      mood: "bad",
      short: "Served, with failures",
      long: `Nothing is missing, but ${several(failed, "run")} of ${ended} ended in an error.`,
    };
  }
  return { mood: "good", short: "Yes", long: ended > 0 ? "Nothing is missing and no run failed." : "Nothing is missing." };
}

/** Since when a server is away, as the header says it. */
export function silence(ms: number): string {
  return `no answer since ${duration(Math.floor(ms / 1000) * 1000)}`;
}

/** Above this a silent run is red: a pulse is due at least each five seconds. */
export const LONG_SILENCE_MS = 10_000;
