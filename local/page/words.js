// How things are told: durations, icons, and the words of each event. Returns text, never markup.

const PATHS = {
  start: "M6 4.5v7l5.5-3.5z",
  thought: "M8 2.5a4 4 0 0 0-2.4 7.2c.5.4.7.8.7 1.3h3.4c0-.5.2-.9.7-1.3A4 4 0 0 0 8 2.5zM6.5 13.3h3",
  tool: "m4 5 3 3-3 3m4.5 0H12",
  check: "m3.5 8.5 3 3 6-7",
  cross: "m4.5 4.5 7 7m0-7-7 7",
  flag: "M4.5 13.5v-11m0 .5h7l-1.6 2.7L11.5 8.5h-7",
  answer: "M3 3.5h10v7H8l-3 2.7v-2.7H3z",
  fault: "M9 2 3.5 9.2h4L7 14l5.5-7.2h-4z",
};
const STATUS = { ok: "ok", timeout: "timed out", outcome_unknown: "outcome unknown" };

export function seconds(ms) {
  if (ms < 60_000) return `${(Math.max(0, ms) / 1000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${String(Math.floor(ms / 1000) % 60).padStart(2, "0")} s`;
}

export const duration = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : seconds(ms));

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

const tokens = ({ usage, finish_reason: reason }) => {
  const used = usage?.input_tokens ? `${usage.input_tokens} tokens read, ${usage.output_tokens} written` : "complete";
  return reason === "length" ? `${used}, cut at the model's limit` : used;
};

// Of each event: the icon, what kind of step it is (for those who hear the page), who, what, and more.
const TOLD = {
  agent_started: (event) => ({ icon: "start", kind: "started", who: event.agent_id, what: event.message }),
  agent_thinking: (event) => ({ icon: "thought", kind: "thinking", who: event.agent_id, what: event.thought }),
  tool_executing: (event) => ({ icon: "tool", kind: "tool call", who: event.tool_name, what: event.description }),
  tool_completed: (event) => ({
    icon: event.status === "ok" ? "check" : "cross",
    kind: "tool result",
    who: event.tool_name,
    status: STATUS[event.status] ?? event.status,
    what: event.result_summary,
    took: event.duration_ms,
  }),
  agent_completed: (event) => ({
    icon: "flag",
    kind: "completed",
    who: event.agent_id,
    what: event.message,
    took: event.duration_ms,
  }),
  final_response: (event) => ({ icon: "answer", kind: "answer", who: "answer", what: tokens(event) }),
  error: (event) => ({
    icon: "cross",
    kind: "error",
    who: event.code === "cancelled" ? "stopped" : "failed",
    what: event.code.replaceAll("_", " "),
  }),
};

export const isEvent = (frame) => Object.hasOwn(TOLD, frame.type);
export const told = (event) => TOLD[event.type](event);
