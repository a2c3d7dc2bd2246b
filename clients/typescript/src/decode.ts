// Text to server frame: what is of a known type is checked field by field, so that nothing behind this has to doubt.
// Fields nobody here knows pass: a newer server may say more.
import { FRAME_SHAPES, PART_SHAPES, type ServerFrame } from "./protocol.js";

/** What one text of the server is; `broken` is of a known type and not as the contract says. */
export type Decoded =
  | { readonly kind: "frame"; readonly frame: ServerFrame }
  | { readonly kind: "gateway_error" }
  | { readonly kind: "unknown" }
  | { readonly kind: "broken" };

type Fields = Readonly<Record<string, unknown>>;
type Check = (fields: Fields) => boolean;

const frames = checksOf(FRAME_SHAPES);
const parts = checksOf(PART_SHAPES);

/** Reads one text message of the server. */
export function decode(text: string): Decoded {
  const value = parse(text);
  if (!isFields(value)) return { kind: "broken" };
  const type = value["type"];
  if (type === undefined && "message" in value) return { kind: "gateway_error" };
  const check = typeof type === "string" ? frames.get(type) : undefined;
  if (check === undefined) return { kind: "unknown" };
  return check(value) ? { kind: "frame", frame: value as unknown as ServerFrame } : { kind: "broken" };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function checksOf(shapes: Readonly<Record<string, string>>): ReadonlyMap<string, Check> {
  return new Map(Object.entries(shapes).map(([name, shape]) => [name, checkOf(shape)]));
}

function checkOf(shape: string): Check {
  const rules = shape.split(" ").map((rule) => {
    const [mark = "", kind = ""] = rule.split(":");
    const optional = mark.endsWith("?");
    return { name: optional ? mark.slice(0, -1) : mark, optional, kind };
  });
  return (fields) =>
    rules.every(({ name, optional, kind }) => {
      const value = fields[name];
      return value === undefined ? optional : holds(kind, value);
    });
}

function holds(kind: string, value: unknown): boolean {
  if (kind === "s") return typeof value === "string";
  if (kind === "b") return typeof value === "boolean";
  if (kind === "i") return Number.isSafeInteger(value) && (value as number) >= 0;
  if (kind.startsWith("=")) return value === Number(kind.slice(1));
  if (!isFields(value)) return false;
  if (!kind.startsWith("{")) return parts.get(kind)?.(value) === true;
  return Object.values(value).every((one) => holds(kind.slice(1, -1), one));
}
