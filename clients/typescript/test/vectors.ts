// The cases of tests/vectors/reassembly.json, which every client in every language has to pass.
import { readFileSync } from "node:fs";
import type { RunEvent, ServerFrame } from "../src/protocol.js";

export interface Step {
  readonly at_s: number;
  readonly receive?: string;
  readonly seqs?: readonly [number, number];
  readonly follow?: { readonly run_id: string; readonly after_seq: number };
  readonly reconnect?: true;
  readonly tick?: true;
  readonly expect: readonly Expected[];
}

export type Expected =
  | { readonly deliver: string; readonly seqs?: readonly [number, number] }
  | { readonly ask_resume: { readonly run_id: string; readonly after_seq: number } }
  | { readonly lost: { readonly run_id: string; readonly code: string } };

export interface Case {
  readonly name: string;
  readonly fact: string;
  readonly steps: readonly Step[];
  readonly cursors: Readonly<Record<string, number>>;
  readonly ping_interval_s: number;
}

interface Vectors {
  readonly frames: Readonly<Record<string, ServerFrame>>;
  readonly cases: readonly Case[];
}

const FILE = new URL("../../../tests/vectors/reassembly.json", import.meta.url);
export const VECTORS = JSON.parse(readFileSync(FILE, "utf8")) as Vectors;

/** A named frame. */
export function frame(name: string): ServerFrame {
  const found = VECTORS.frames[name];
  if (found === undefined) throw new Error(`no such frame: ${name}`);
  return found;
}

/** A named frame, once or for each seq. */
export function expand(name: string, seqs?: readonly [number, number]): ServerFrame[] {
  if (seqs === undefined) return [frame(name)];
  const [from, to] = seqs;
  return Array.from({ length: to - from + 1 }, (_, index) => ({ ...frame(name), seq: from + index }) as ServerFrame);
}

/** The events of one canonical run. */
export const CANONICAL = ["A1", "A2", "A3", "A4", "A5", "A6", "A7"].map((name) => frame(name) as RunEvent);
