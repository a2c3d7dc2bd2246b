// How fast and how often the client tries. Times are milliseconds.

/** Durations, and how often something is tried. */
export interface Pace {
  /** How often it looks for what is due. */
  readonly tickMs: number;
  /** The longest a ticket and a handshake may take together. */
  readonly connectMs: number;
  /** A ping that brings nothing at all for so long means a dead line: a server answers within 2 s. */
  readonly stallMs: number;
  /** A frame without an answer is sent again after this ... */
  readonly answerMs: number;
  /** ... and the resume of a whole thread, which takes longer, after this. */
  readonly threadMs: number;
  /** The back-off between connections and between sends: doubling, with full jitter. */
  readonly firstWaitMs: number;
  readonly lastWaitMs: number;
  /** A connection that lived this long starts the back-off over. */
  readonly settledMs: number;
  /** A connection is replaced at this age, or up to a tenth earlier: API Gateway ends every one at two hours. */
  readonly renewMs: number;
  /** How often a cancel, an answer or the resume of a thread is sent at most, and how many refusals of it are borne. */
  readonly sends: number;
  readonly retries: number;
}

export const PACE: Pace = {
  tickMs: 250,
  connectMs: 10_000,
  stallMs: 5000,
  answerMs: 5000,
  threadMs: 20_000,
  firstWaitMs: 500,
  lastWaitMs: 20_000,
  settledMs: 5000,
  renewMs: 110 * 60_000,
  sends: 12,
  retries: 5,
};

/** The longest wait before an attempt, counted from 0. */
export function ceilingMs(pace: Pace, attempt: number): number {
  return Math.min(pace.lastWaitMs, pace.firstWaitMs * 2 ** Math.min(attempt, 16));
}
