// Reads what a server sent, field by field: what is not of the expected shape is told, never guessed.

import { UnknownAnswer } from "./poll.ts";

/** A value of a JSON text, and where it stands in it. */
export class Json {
  readonly #value: unknown;
  readonly #where: string;

  constructor(value: unknown, where: string) {
    this.#value = value;
    this.#where = where;
  }

  at(name: string): Json {
    return new Json(this.#members()[name], `${this.#where}.${name}`);
  }

  number(): number {
    const value = this.#value;
    if (typeof value === "number" && Number.isFinite(value)) return value;
    return this.#refuse("a number");
  }

  text(): string {
    const value = this.#value;
    return typeof value === "string" ? value : this.#refuse("a text");
  }

  flag(): boolean {
    const value = this.#value;
    return typeof value === "boolean" ? value : this.#refuse("true or false");
  }

  list<T>(read: (item: Json) => T): T[] {
    if (!Array.isArray(this.#value)) return this.#refuse("a list");
    return this.#value.map((item: unknown, index) => read(new Json(item, `${this.#where}[${index}]`)));
  }

  /** A map by name; names of the objects' own machinery stay plain names. */
  table<T>(read: (item: Json) => T): Map<string, T> {
    return new Map(Object.entries(this.#members()).map(([name, item]) => [name, read(new Json(item, `${this.#where}.${name}`))]));
  }

  /** What `read` makes of it; undefined where it is null or absent. */
  maybe<T>(read: (item: Json) => T): T | undefined {
    return this.#value === null || this.#value === undefined ? undefined : read(this);
  }

  #members(): Record<string, unknown> {
    const value = this.#value;
    if (typeof value !== "object" || value === null || Array.isArray(value)) return this.#refuse("an object");
    return value as Record<string, unknown>;
  }

  #refuse(expected: string): never {
    throw new UnknownAnswer(`The server's answer is none this page knows: ${this.#where} is not ${expected}.`);
  }
}

/** Asks for a JSON text.
 *
 * Throws UnknownAnswer where the server says no.
 */
export async function fetchJson(url: string, signal: AbortSignal): Promise<Json> {
  const reply = await fetch(url, { signal, cache: "no-store" });
  if (!reply.ok) throw new UnknownAnswer(`The server says ${reply.status} to ${url}.`);
  return new Json((await reply.json()) as unknown, url);
}
