// The contract's rules for a message, held before it is stored: what the server must refuse is not sent.
import { Rejected } from "./errors.js";
import type { AgentMessage } from "./protocol.js";

const MAX_CONTENT_BYTES = 12_288;
const MAX_FRAME_BYTES = 16_384;
const NO_CHARACTER = /[\p{Surrogate}\ufffe\uffff]/u;
const CONTROL = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/;
const NOTHING = /^[\s\p{White_Space}\p{Cf}]*$/u;

/** Throws Rejected where a server would refuse this message. */
export function checkMessage(frame: AgentMessage): void {
  const { content } = frame;
  if (NO_CHARACTER.test(content)) throw new Rejected("bad_encoding", "The message is not valid Unicode text.");
  if (CONTROL.test(content)) throw new Rejected("bad_value", "The message holds control characters.");
  if (NOTHING.test(content)) throw new Rejected("bad_value", "The message is empty.");
  if (bytes(content) > MAX_CONTENT_BYTES || bytes(JSON.stringify(frame)) > MAX_FRAME_BYTES) {
    throw new Rejected("too_large", "The message is too long.");
  }
}

/** A message id: a random UUID, also on pages without a secure context, which have no `randomUUID`. */
export function newId(): string {
  const random = crypto.getRandomValues(new Uint8Array(16));
  random[6] = ((random[6] ?? 0) & 0x0f) | 0x40;
  random[8] = ((random[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

function bytes(text: string): number {
  return new TextEncoder().encode(text).length;
}
