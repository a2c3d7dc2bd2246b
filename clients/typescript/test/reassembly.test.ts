// Reassembly against the shared cases, and bad luck.
import { describe, expect, test } from "vitest";
import { decode } from "../src/decode.js";
import type { RunEvent, ServerFrame } from "../src/protocol.js";
import { Reassembly } from "../src/reassembly.js";
import type { Action } from "../src/run_reassembly.js";
import { type Luck, luckOf } from "./luck.js";
import { CANONICAL, type Expected, expand, frame, type Step, VECTORS } from "./vectors.js";

const RUN = CANONICAL[0]?.run_id ?? "";
const MAX_REPLAYED = 200;

function act(reassembly: Reassembly, step: Step): Action[] {
  if (step.receive !== undefined) {
    return expand(step.receive, step.seqs).flatMap((one) => reassembly.receive(one, step.at_s));
  }
  if (step.follow !== undefined) return reassembly.follow(step.follow.run_id, step.follow.after_seq, step.at_s);
  return step.reconnect === true ? reassembly.reconnected(step.at_s) : reassembly.tick(step.at_s);
}

function actionsOf(one: Expected): unknown[] {
  if ("deliver" in one) return expand(one.deliver, one.seqs).map((delivered) => ({ kind: "deliver", frame: delivered }));
  if ("ask_resume" in one) {
    return [{ kind: "ask_resume", runId: one.ask_resume.run_id, afterSeq: one.ask_resume.after_seq }];
  }
  return [{ kind: "lost", runId: one.lost.run_id, code: one.lost.code }];
}

describe("the shared cases", () => {
  test("there are some, and each frame is as the contract says", () => {
    expect(VECTORS.cases.length).toBeGreaterThan(40);
    for (const one of Object.values(VECTORS.frames)) expect(decode(JSON.stringify(one)).kind).toBe("frame");
  });

  test.each(VECTORS.cases)("$name", ({ fact, steps, cursors, ping_interval_s }) => {
    const reassembly = new Reassembly();
    steps.forEach((step, index) => {
      expect(act(reassembly, step), `step ${index + 1}: ${fact}`).toEqual(step.expect.flatMap(actionsOf));
    });
    expect(reassembly.cursors()).toEqual(cursors);
    expect([...reassembly.openRuns].sort()).toEqual(Object.keys(cursors).sort());
    expect(reassembly.pingIntervalS).toBe(ping_interval_s);
  });
});

test("cursors are sixteen at most, the quietest first", () => {
  const reassembly = new Reassembly();
  const runs = Array.from({ length: 20 }, (_, at) => `0192a000-0000-7000-8000-${String(at).padStart(12, "0")}`);
  const say = (name: string, at: number, second: number): unknown =>
    reassembly.receive({ ...frame(name), run_id: runs[at] } as ServerFrame, second);
  runs.forEach((_, at) => say("B1", at, at));
  expect(Object.keys(reassembly.cursors())).toEqual(runs.slice(0, 16));
  say("B2", 0, 30);
  expect(Object.keys(reassembly.cursors())).toEqual(runs.slice(1, 17));
});

test("a forgotten run is as new", () => {
  const reassembly = new Reassembly();
  reassembly.receive(frame("A1"), 0);
  reassembly.forget(RUN);
  expect(reassembly.openRuns).toEqual([]);
  expect(reassembly.receive(frame("A1"), 1)).toEqual([{ kind: "deliver", frame: frame("A1") }]);
});

test("a run that must have ended is asked for once, a whole one never", () => {
  const reassembly = new Reassembly();
  CANONICAL.slice(0, 6).forEach((event) => reassembly.receive(event, 0));
  expect(reassembly.complete(RUN, 1)).toEqual([{ kind: "ask_resume", runId: RUN, afterSeq: 6 }]);
  expect(reassembly.complete(RUN, 2)).toEqual([]);
  reassembly.receive(frame("A7"), 3);
  expect(reassembly.complete(RUN, 4)).toEqual([]);
});

/** A server with the whole run in its journal, and a wire that loses, doubles, reorders and delays frames at will. */
class UnluckyWire {
  readonly delivered: number[] = [];
  asked = 0;
  readonly #reassembly = new Reassembly();
  readonly #events: readonly RunEvent[];
  readonly #luck: Luck;
  #underWay: { readonly atS: number; readonly frame: ServerFrame }[] = [];

  constructor(events: readonly RunEvent[], luck: Luck) {
    this.#events = events;
    this.#luck = luck;
  }

  run(): void {
    for (const event of this.#events) this.#send(0, event);
    for (let nowS = 0; nowS < 300 && this.delivered.length < this.#events.length; nowS += 0.25) {
      const due = this.#luck.shuffled(this.#underWay.filter((one) => one.atS <= nowS));
      this.#underWay = this.#underWay.filter((one) => one.atS > nowS);
      for (const one of due) this.#obey(this.#reassembly.receive(one.frame, nowS), nowS);
      this.#obey(this.#reassembly.tick(nowS), nowS);
      if (nowS < 120 && this.#luck.below(40) === 0) this.#break(nowS);
      if (nowS % 5 === 0) {
        this.#send(nowS, { type: "pong", heads: { [RUN]: { last_seq: this.#events.length, status: "completed" } } });
      }
    }
  }

  #break(nowS: number): void {
    this.#underWay = [];
    this.#obey(this.#reassembly.reconnected(nowS), nowS);
  }

  /** After two minutes the wire is sound: who is not whole then never will be. */
  #send(nowS: number, one: ServerFrame): void {
    const copies = nowS < 120 ? this.#luck.below(3) : 1;
    for (let copy = 0; copy < copies; copy += 1) {
      const delayS = nowS < 120 ? (this.#luck.pick([0, 0.5, 3]) ?? 0) : 0;
      this.#underWay.push({ atS: nowS + delayS, frame: one });
    }
  }

  #obey(actions: readonly Action[], nowS: number): void {
    for (const action of actions) {
      if (action.kind === "deliver") this.delivered.push((action.frame as RunEvent).seq);
      else if (action.kind === "ask_resume") this.#replay(action.afterSeq, nowS);
      else throw new Error("nothing was lost");
    }
  }

  #replay(afterSeq: number, nowS: number): void {
    this.asked += 1;
    for (const event of this.#events.slice(afterSeq, afterSeq + MAX_REPLAYED)) {
      this.#send(nowS, { ...event, replay: true });
    }
    const head = { last_seq: this.#events.length, status: "completed" } as const;
    this.#send(nowS, { type: "replay_complete", run_id: RUN, after_seq: afterSeq, ...head });
  }
}

function longRun(length: number): RunEvent[] {
  const middle = Array.from({ length: length - 3 }, (_, at) => ({ ...frame("A2"), seq: at + 2 }));
  const ending = [
    { ...frame("A6"), seq: length - 1 },
    { ...frame("A7"), seq: length },
  ];
  return [frame("A1"), ...middle, ...ending] as RunEvent[];
}

test("whatever the wire does, each event is delivered once and in order, without a storm of resumes", () => {
  for (let seed = 1; seed <= 400; seed += 1) {
    const luck = luckOf(seed);
    const length = seed % 40 === 0 ? 300 + luck.below(300) : 3 + luck.below(12);
    const wire = new UnluckyWire(longRun(length), luck);
    wire.run();
    expect(wire.delivered, `seed ${seed}`).toEqual(Array.from({ length }, (_, at) => at + 1));
    expect(wire.asked, `seed ${seed}`).toBeLessThan(80);
  }
});
