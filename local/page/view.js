// One message and the work on it, as the page shows them. Foreign text is only ever set as text.
// A Turn is given frames that are already in order; it knows nothing of the socket.

import { duration, icon, seconds, told } from "./words.js";

const SILENCE_MS = 15_000; // some frame comes at least this often while a run is open
const OUTCOME = { final_response: "done", error: "failed" };

/** The server's clock, as far as live events tell it: the fastest of them came with the least delay. */
export const clock = {
  behind: Infinity,
  observe(event) {
    if (!event.replay) this.behind = Math.min(this.behind, Date.now() - Date.parse(event.timestamp));
  },
  at(ms) {
    return ms - (this.behind === Infinity ? 0 : this.behind);
  },
};

export class Turn {
  element = element("article", "turn");
  content;
  runId = null;
  threadId = null;
  number = Infinity;
  status = "sending"; // then accepted, working, and done, failed, stopped or refused
  stopping = false;
  #actions;
  #saidAt; // in the page's time, until the server's is known
  #inputAt = null;
  #draft = { number: -1, text: "" }; // the answer as far as it is written
  #thought = -1; // the last draft that turned out to be a thought before a call
  #answerText = "";
  #answerBytes = 0; // of the whole answer; more than is here where it was cut
  #depths = new Map();
  #open = new Map();
  #heartbeat = null;
  #heardAt = Date.now();
  #bubble = foreign("div", "bubble");
  #delivery = element("p", "delivery");
  #steps = element("ol", "steps");
  #progress = element("div", "progress");
  #activity = element("span", "activity");
  #stop = button("stop", "Stop");
  #answer = element("div", "answer");
  #failure = element("div", "failure");

  /** `actions`: `stop(turn)`, `retry(content)`, `rest(runId, offset)`. */
  constructor(content, saidAt, actions) {
    this.#actions = actions;
    this.#saidAt = saidAt;
    this.#build();
    this.#say(content);
    this.#become("sending");
  }

  get isEnded() {
    return ["done", "failed", "stopped", "refused"].includes(this.status);
  }

  get isOpen() {
    return this.runId !== null && !this.isEnded;
  }

  accepted({ run_id: runId, thread_id: threadId, turn }) {
    this.runId = runId;
    this.threadId = threadId;
    this.number = turn;
    this.element.dataset.run = runId;
    if (this.status === "sending") this.#become("accepted");
  }

  /** The server's own record of the message. */
  input(frame) {
    this.#inputAt = Date.parse(frame.timestamp);
    this.#say(frame.content);
  }

  refused({ message, retryable }) {
    this.#become("refused");
    this.#fail("Not sent", message, retryable);
  }

  /** The server can no longer tell the rest of this run. */
  lost() {
    this.#become("failed");
    this.#fail("Incomplete", "The rest of this account is no longer kept by the server.", false);
  }

  /** The next event of the run. */
  event(event) {
    clock.observe(event);
    this.#heard(null);
    if (this.status === "accepted" || this.status === "sending") this.#become("working");
    if (event.type === "tool_executing") this.#opened(event);
    if (event.type === "tool_completed") this.#open.get(event.call_id)?.clock.remove();
    if (event.type === "tool_completed") this.#open.delete(event.call_id);
    this.#steps.append(this.#step(event));
    if (Object.hasOwn(OUTCOME, event.type)) this.#end(event);
  }

  delta(frame) {
    if (this.isEnded || frame.draft <= this.#thought) return;
    this.#heard(null);
    if (frame.draft > this.#draft.number) this.#draft = { number: frame.draft, text: "" };
    this.#draft.text += frame.text;
    this.#answer.classList.add("streaming");
    this.#show(this.#draft.text);
  }

  heartbeat(frame) {
    this.#heard(frame);
  }

  /** A further part of an answer that is longer than one frame. */
  answerPart({ offset, text, full_bytes: bytes }) {
    if (offset !== byteLength(this.#answerText)) return;
    this.#answerText += text;
    this.#answerBytes = text === "" ? offset : bytes;
    this.#show(this.#answerText);
    this.askForRest();
  }

  askForRest() {
    const have = byteLength(this.#answerText);
    if (this.status === "done" && have < this.#answerBytes) this.#actions.rest(this.runId, have);
  }

  /** Tells the time. `ahead`: how many turns of the thread come first. */
  tick({ linked, ahead }) {
    if (this.isEnded) return;
    const now = clock.at(Date.now());
    for (const call of this.#open.values()) write(call.clock, seconds(now - call.since));
    if (this.status === "sending") write(this.#delivery, linked ? "sending" : "kept, sent once the server is back");
    write(this.#activity, this.#progressWords(linked, ahead));
  }

  #heard(heartbeat) {
    this.#heartbeat = heartbeat;
    this.#heardAt = Date.now();
  }

  #build() {
    const said = element("div", "said");
    said.append(this.#bubble, this.#delivery);
    const pulse = element("span", "pulse");
    this.#progress.append(pulse, this.#activity, this.#stop);
    this.#stop.onclick = () => this.#actions.stop(this);
    this.#steps.setAttribute("aria-label", "Steps");
    const work = element("section", "work");
    work.setAttribute("aria-label", "Work on this message");
    work.append(this.#steps, this.#answer, this.#failure, this.#progress);
    this.element.append(said, work);
  }

  #say(content) {
    this.content = content;
    this.#bubble.textContent = content;
  }

  #become(status) {
    this.status = status;
    this.element.dataset.status = status;
    this.#stop.hidden = this.runId === null;
    this.#progress.hidden = this.isEnded || status === "sending";
    write(this.#delivery, { refused: "not sent" }[status] ?? status);
  }

  #progressWords(linked, ahead) {
    if (this.stopping) return "Stopping";
    if (!linked) return "Out of reach for a moment; the work goes on";
    if (this.status === "accepted") return ahead > 0 ? `Queued, ${ahead} ahead` : "Waiting for an agent";
    const silence = Date.now() - this.#heardAt;
    if (silence > SILENCE_MS) return `No news of this run for ${Math.round(silence / 1000)} s; asking on`;
    const since = `${Math.round(this.#elapsed(clock.at(Date.now())) / 1000)} s`;
    if (this.#heartbeat) return `Still working, ${since}, ${this.#heartbeat.activity}`;
    const tool = [...this.#open.values()].at(-1)?.name;
    if (tool) return `Working, ${since}, running ${tool}`;
    return `Working, ${since}, ${this.#draft.text ? "writing the answer" : "waiting for the model"}`;
  }

  /** Milliseconds from the message to a moment of the server's time. */
  #elapsed(moment) {
    return moment - (this.#inputAt ?? clock.at(this.#saidAt));
  }

  #opened(event) {
    this.#depths.set(event.call_id, this.#depthOf(event) + 1);
    const running = element("span", "running");
    this.#open.set(event.call_id, { name: event.tool_name, since: Date.parse(event.timestamp), clock: running });
    if (event.parent_call_id !== undefined) return;
    this.#thought = this.#draft.number; // what was streamed before a call stands in agent_thinking
    this.#draft.text = "";
    this.#show("");
  }

  #depthOf(event) {
    return this.#depths.get(event.parent_call_id) ?? 0;
  }

  #step(event) {
    const step = told(event);
    const line = element("li", "step");
    Object.assign(line.dataset, { type: event.type, seq: event.seq, depth: Math.min(2, this.#depthOf(event)) });
    if (step.status) line.dataset.result = event.status;
    const words = element("p", "words");
    words.append(element("span", "unseen", `${step.kind}: `), foreign("span", "who", step.who), " ");
    if (step.status) words.append(element("span", "result", step.status), " ");
    words.append(foreign("span", "what", step.what));
    const took = element("span", "took", step.took === undefined ? "" : duration(step.took));
    if (event.type === "tool_executing") took.append(this.#open.get(event.call_id).clock);
    const time = element("time", "time", seconds(this.#elapsed(Date.parse(event.timestamp))));
    time.dateTime = event.timestamp;
    const badge = element("span", "badge");
    badge.append(icon(step.icon));
    line.append(badge, words, took, time);
    return line;
  }

  #end(event) {
    this.#answer.classList.remove("streaming");
    this.#answerText = event.type === "final_response" ? event.content : "";
    this.#answerBytes = event.full_bytes ?? 0;
    this.#show(this.#answerText);
    this.#become(event.code === "cancelled" ? "stopped" : OUTCOME[event.type]);
    write(this.#delivery, `${this.status} after ${seconds(this.#elapsed(Date.parse(event.timestamp)))}`);
    if (event.type === "error") this.#fail("", event.message, event.retryable);
    this.askForRest();
  }

  #fail(title, message, retryable) {
    const words = element("p", "reason");
    if (title) words.append(element("strong", "", title), " ");
    words.append(foreign("span", "", message));
    this.#failure.replaceChildren(words);
    if (!retryable) return;
    const retry = button("retry", "Retry");
    retry.onclick = () => {
      retry.remove();
      this.#actions.retry(this.content);
    };
    this.#failure.append(retry);
  }

  #show(text) {
    const blocks = text === "" ? [] : blocksOf(text);
    while (this.#answer.children.length > blocks.length) this.#answer.lastChild.remove();
    blocks.forEach(({ kind, lines }, at) => {
      const block = this.#answer.children[at] ?? this.#answer.appendChild(foreign("div", ""));
      block.className = `block ${kind}`;
      write(block, lines.join("\n"));
    });
  }
}

/** Cuts Markdown into runs of lines of one kind; every line is kept as it is. */
function blocksOf(text) {
  const blocks = [];
  let fenced = false;
  for (const line of text.split("\n")) {
    const fence = line.startsWith("```");
    const kind = fenced || fence ? "code" : /^#{1,6} /.test(line) ? "heading" : line.startsWith("|") ? "table" : "prose";
    if (fence) fenced = !fenced;
    if (blocks.at(-1)?.kind === kind) blocks.at(-1).lines.push(line);
    else blocks.push({ kind, lines: [line] });
  }
  return blocks;
}

const byteLength = (text) => new TextEncoder().encode(text).length;

function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

/** An element for text that others wrote: its own direction, never markup. */
function foreign(tag, className, text = "") {
  const made = element(tag, className, text);
  made.dir = "auto";
  return made;
}

function button(className, text) {
  const made = element("button", className, text);
  made.type = "button";
  return made;
}

function write(target, text) {
  if (target.textContent !== text) target.textContent = text;
}
