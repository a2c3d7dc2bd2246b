// Numbers, durations and times as a reader takes them in at a glance. Pure.

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const FULL_UP_TO = 100_000;

/** A count: whole up to 99,999, short from there on. */
export function count(value: number): string {
  return Math.abs(value) < FULL_UP_TO ? plain.format(value) : short.format(value);
}

/** A count that has little room. */
export function shortCount(value: number): string {
  return short.format(value);
}

/** A duration in the one or two units that matter. */
export function duration(ms: number): string {
  if (ms < SECOND) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 10 * SECOND) return `${(Math.floor(ms / 100) / 10).toString()} s`;
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s`;
  if (ms < HOUR) return pair(ms, MINUTE, "min", SECOND, "s");
  if (ms < DAY) return pair(ms, HOUR, "h", MINUTE, "min");
  return pair(ms, DAY, "d", HOUR, "h");
}

/** A duration in one unit, for a scale that has little room. */
export function shortDuration(ms: number): string {
  return ms < SECOND ? `${ms} ms` : `${ms / SECOND} s`;
}

function pair(ms: number, large: number, largeUnit: string, small: number, smallUnit: string): string {
  const rest = Math.floor((ms % large) / small);
  const whole = `${Math.floor(ms / large)} ${largeUnit}`;
  return rest === 0 ? whole : `${whole} ${rest} ${smallUnit}`;
}

/** The time of day on the reader's clock, with seconds or without. */
export function clock(ms: number, withSeconds = true): string {
  const at = new Date(ms);
  const parts = [at.getHours(), at.getMinutes(), ...(withSeconds ? [at.getSeconds()] : [])];
  return parts.map((part) => String(part).padStart(2, "0")).join(":");
}

/** "1 run", "2 runs". */
export function several(number: number, one: string, more = `${one}s`): string {
  return `${count(number)} ${number === 1 ? one : more}`;
}
