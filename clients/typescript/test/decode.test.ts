// Text to frame.
import { expect, test } from "vitest";
import { decode } from "../src/decode.js";
import { frame } from "./vectors.js";

const A7 = frame("A7") as unknown as Record<string, unknown>;

test.each<readonly [string, unknown]>([
  ["a missing field", { ...A7, content: undefined }],
  ["a wrong type", { ...A7, seq: "7" }],
  ["a number that is none", { ...A7, seq: 1.5 }],
  ["a negative seq", { ...A7, seq: -1 }],
  ["another version", { ...A7, v: 2 }],
  ["a part that is none", { ...A7, usage: 3 }],
  ["a part with a wrong field", { ...A7, usage: { input_tokens: "1" } }],
  ["an optional field of a wrong type", { ...A7, replay: "yes" }],
  ["heads that are none", { type: "pong", heads: [] }],
  ["a head without a seq", { type: "pong", heads: { a: { status: "running" } } }],
  ["no object", 7],
])("%s is not as the contract says", (_name, value) => {
  expect(decode(JSON.stringify(value))).toEqual({ kind: "broken" });
});

test("a field nobody here knows passes", () => {
  expect(decode(JSON.stringify({ ...A7, mood: "good" }))).toMatchObject({ kind: "frame" });
});

test("a type nobody here knows is left out, also one with the name of something every object has", () => {
  expect(decode('{"type": "agent_dreaming"}')).toEqual({ kind: "unknown" });
  expect(decode('{"type": "constructor"}')).toEqual({ kind: "unknown" });
  expect(decode('{"type": 7}')).toEqual({ kind: "unknown" });
});

test("the gateway's own error has no type", () => {
  expect(decode('{"message": "Internal server error"}')).toEqual({ kind: "gateway_error" });
});

test("a position and heads are read", () => {
  const complete = { type: "replay_complete", thread_id: "t", through: { turn: 1, seq: 2 } };
  expect(decode(JSON.stringify(complete))).toEqual({ kind: "frame", frame: complete });
  const pong = { type: "pong", heads: { a: { last_seq: 1, status: "running" } } };
  expect(decode(JSON.stringify(pong))).toEqual({ kind: "frame", frame: pong });
});
