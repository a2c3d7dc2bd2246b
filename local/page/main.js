// Brings the page together: who is here, frames to turns, the person's wishes to frames, and the shown
// thread kept over reloads, lost connections and restarts of the server.

import { Connection } from "./connection.js";
import { Door, readConfig } from "./door.js";
import { showGate } from "./gate.js";
import { Outbox, fits } from "./outbox.js";
import { Reassembly } from "./reassembly.js";
import { SignIn } from "./sign_in.js";
import { Turn } from "./view.js";
import { isEvent, told } from "./words.js";

const AGAIN_MS = 1000; // before what failed on the server's side is tried again
const TICK_MS = matchMedia("(prefers-reduced-motion: reduce)").matches ? 500 : 100;
const NEAR_BOTTOM_PX = 48;
const SUGGESTIONS = {
  database: "Analyze my database performance",
  code: `Analyze my code performance

\`\`\`python
def paid_orders(orders, payments):
    paid = []
    for order in orders:
        for payment in payments:
            if payment.order_id == order.id and order.id not in paid:
                paid.append(order.id)
    return paid
\`\`\`
`,
};

const at = (id) => document.getElementById(id);
const [scroller, turnsList, welcome, notice, link] = ["scroller", "turns", "welcome", "notice", "link"].map(at);
const [composer, text, send, limit, announcer] = ["composer", "text", "send", "limit", "announcer"].map(at);
const [newChat, signOut, dock] = ["new-chat", "sign-out", "dock"].map(at);

const turns = new Map(); // by run id
const unanswered = new Map(); // turns that are not accepted yet, by client_message_id
const strangers = new Set(); // open runs that are not of this thread
let signIn = null; // where people sign in
let outbox = null; // of the person who is here
let thread = null;
let asked = null; // the position the last replay of the thread was asked from
let warned = false; // that signing out loses what is not sent
let stick = true; // whether the page follows what is new
let seenTop = 0; // where the page was scrolled to when it was last looked at

const reassembly = new Reassembly();
const connection = new Connection({ opened, lost, signedOut, frame: receive, heads: reassembly });
const actions = {
  stop: cancel,
  retry: say,
  rest: (runId, offset) => connection.send({ type: "answer", run_id: runId, offset }),
};

// What is shown

const inOrder = () => [...turns.values()].sort((one, other) => one.number - other.number);

/** Puts a turn where its number says; those that have none yet are last. */
function place(turn) {
  const later = inOrder().find((one) => one.number > turn.number);
  const next = turn.number === Infinity ? null : (later ?? [...unanswered.values()][0])?.element ?? null;
  if (!turn.element.isConnected || turn.element.nextElementSibling !== next) turnsList.insertBefore(turn.element, next);
}

/** Makes the turn of a run of the shown thread where the page meets it for the first time. */
function meet(frame) {
  if (turns.has(frame.run_id)) return;
  const turn = new Turn(frame.content ?? "", Date.now(), actions);
  turn.accepted(frame);
  turns.set(frame.run_id, turn);
  place(turn);
  if (frame.content === undefined) connection.send({ type: "resume", run_id: frame.run_id, after_seq: 0 });
}

function tick() {
  let ahead = 0;
  for (const turn of [...inOrder(), ...unanswered.values()]) {
    turn.tick({ linked: connection.isThere, ahead });
    if (!turn.isEnded) ahead += 1;
  }
}

function refresh() {
  const all = [...inOrder(), ...unanswered.values()];
  const last = all.at(-1);
  welcome.hidden = all.length > 0 || thread !== null;
  newChat.disabled = unanswered.size > 0 || turnsList.childElementCount === 0;
  const state = all.some((turn) => !turn.isEnded) ? "working" : last?.status;
  document.title = state ? `${state[0].toUpperCase()}${state.slice(1)} · Playbyplay` : "Playbyplay";
  tick();
}

function tell(sentence) {
  notice.textContent = sentence;
  notice.hidden = sentence === "";
}

// What the person wants

function say(content) {
  tell("");
  expect(outbox.add(content, thread));
  stick = true;
  outbox.flush();
  refresh();
}

function expect(entry) {
  const turn = new Turn(entry.content, entry.said_at, actions);
  unanswered.set(entry.id, turn);
  place(turn);
}

function cancel(turn) {
  turn.stopping = true;
  connection.send({ type: "cancel", run_id: turn.runId });
  refresh();
}

/** Begins another chat; what the server never took of the old one is said again there. */
function startOver(sentence = "") {
  const unsaid = outbox.empty();
  turns.clear();
  unanswered.clear();
  turnsList.replaceChildren();
  reassembly.clear();
  thread = asked = null;
  outbox.keepThread(null);
  unsaid.forEach(say);
  tell(sentence);
  refresh();
  text.focus();
}

// What the server says

const nowS = () => performance.now() / 1000;

function opened() {
  link.textContent = "";
  outbox.again(); // first, so that its answer comes before the replay
  perform(reassembly.reconnected(nowS()));
  resumeThread(position());
  for (const turn of turns.values()) {
    if (turn.isOpen && turn.stopping) cancel(turn);
    turn.askForRest();
  }
  refresh();
}

function lost() {
  link.textContent = connection.wasOpen ? "reconnecting …" : "connecting …";
  refresh();
}

/** Up to where this page knows the turns of the thread without a gap. */
function position() {
  let held = { turn: 0, seq: 0 };
  for (const turn of inOrder()) {
    if (held.turn > 0 && turn.number > held.turn + 1) break;
    held = { turn: turn.number, seq: reassembly.cursor(turn.runId) };
  }
  return held;
}

function resumeThread(after) {
  if (thread === null) return;
  asked = after;
  connection.send({ type: "resume", thread_id: thread, after });
}

function tryAgain(ms) {
  const again = () => {
    outbox.again();
    resumeThread(position());
  };
  setTimeout(again, ms * (1 + Math.random()));
}

function follow(threadId) {
  if (thread !== null) return;
  thread = threadId;
  outbox.keepThread(threadId);
}

/** A message of this page has become a run: told by message_accepted, or by an agent_started that overtook it. */
function accept(frame) {
  const turn = unanswered.get(frame.client_message_id);
  if (turn === undefined) return;
  unanswered.delete(frame.client_message_id);
  follow(frame.thread_id);
  if (turns.has(frame.run_id) || frame.thread_id !== thread) turn.element.remove();
  else {
    turn.accepted(frame);
    turns.set(frame.run_id, turn);
    place(turn);
  }
  outbox.settle(frame.client_message_id);
}

function reject(frame) {
  const turn = unanswered.get(frame.client_message_id);
  const gone = frame.code === "not_found" && (turn !== undefined || !frame.run_id);
  if (gone && thread !== null) startOver("The earlier chat is no longer kept here.");
  else if (turn !== undefined && !["rate_limited", "overloaded"].includes(frame.code)) {
    unanswered.delete(frame.client_message_id);
    turn.refused(frame);
    outbox.settle(frame.client_message_id);
  } else if (frame.code === "expired" && frame.run_id) {
    tell("Some of the earlier messages of this chat are no longer kept.");
    resumeThread({ turn: Math.max(asked?.turn ?? 0, position().turn, 1) + 1, seq: 0 });
  } else if (frame.code === "expired") connection.renew();
  else if (frame.retryable && !frame.run_id) tryAgain(frame.retry_after_ms ?? AGAIN_MS);
}

/** Asks on until the end of the thread does not move. */
function resumed({ thread_id: threadId, through }) {
  const moved = through && (through.turn !== asked?.turn || through.seq !== asked?.seq);
  if (moved && threadId === thread) resumeThread(through);
}

/** Heads of this thread's runs go to the reassembly; a run nobody here knows may be a new turn of it. */
function pong({ heads }) {
  outbox.remind();
  const known = Object.entries(heads).filter(([runId]) => turns.has(runId));
  const unknown = Object.keys(heads).filter((runId) => !turns.has(runId) && !strangers.has(runId));
  unknown.forEach((runId) => strangers.add(runId));
  if (unknown.length > 0) resumeThread(position());
  perform(reassembly.receive({ type: "pong", heads: Object.fromEntries(known) }, nowS()));
}

/** A chat that another window has begun is shown by a window that shows none. */
function join(frame) {
  if (!frame.replay && frame.turn === 1 && unanswered.size === 0) follow(frame.thread_id);
}

const special = {
  message_accepted: accept,
  agent_started: accept,
  message_rejected: reject,
  run_input: join,
  replay_complete: resumed,
  heartbeat: (frame) => turns.get(frame.run_id)?.heartbeat(frame),
  answer_part: (frame) => turns.get(frame.run_id)?.answerPart(frame),
};

function receive(frame) {
  if (frame.type === undefined) tryAgain(AGAIN_MS); // the gateway's own error
  else if (frame.type === "pong") pong(frame);
  else {
    if (Object.hasOwn(special, frame.type)) special[frame.type](frame);
    if (frame.thread_id === thread && (isEvent(frame) || frame.type === "run_input")) meet(frame);
    if (turns.has(frame.run_id)) perform(reassembly.receive(frame, nowS()));
  }
  refresh();
}

function perform(doings) {
  for (const { deliver, ask_resume: resume, lost: missing } of doings) {
    if (deliver) show(deliver);
    else if (resume) connection.send({ type: "resume", ...resume });
    else turns.get(missing.run_id)?.lost();
  }
}

function show(frame) {
  const turn = turns.get(frame.run_id);
  if (frame.type === "run_input") turn.input(frame);
  else if (frame.type === "response_delta") turn.delta(frame);
  else {
    turn.event(frame);
    if (!frame.replay) announce(frame);
  }
}

function announce(event) {
  const { who, status, what } = told(event);
  announcer.textContent = `${who}${status ? `, ${status}` : ""}: ${what}`;
}

// The page itself

function submit() {
  if (send.disabled) return;
  const content = text.value;
  write("");
  say(content);
}

function write(content) {
  text.value = content;
  weigh();
}

function weigh() {
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight}px`;
  const short = fits(text.value);
  send.disabled = text.value.trim() === "" || !short;
  limit.textContent = short ? "" : "This is too long for one message (about 12,000 letters).";
}

composer.onsubmit = (event) => {
  event.preventDefault();
  submit();
};
text.oninput = weigh;
text.onkeydown = (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  submit();
};
document.onkeydown = (event) => {
  const running = inOrder().find((turn) => turn.isOpen && !turn.stopping);
  if (event.key === "Escape" && running) cancel(running);
};
newChat.onclick = () => startOver();
welcome.onclick = (event) => {
  const chosen = event.target.closest("[data-suggestion]");
  if (chosen === null) return;
  write(SUGGESTIONS[chosen.dataset.suggestion]);
  text.focus();
};
scroller.onscroll = () => {
  const near = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_BOTTOM_PX;
  // What is new may be there before the page is told of its own scrolling: only who goes up wants to stay.
  stick = near || (stick && scroller.scrollTop >= seenTop);
  seenTop = scroller.scrollTop;
};
const keepUp = new ResizeObserver(() => {
  if (stick) scroller.scrollTop = scroller.scrollHeight;
});
keepUp.observe(at("column"));
keepUp.observe(scroller);

function nameModel(name) {
  const model = at("model");
  const scripted = name === "scripted";
  model.textContent = scripted ? "scripted model" : name;
  model.title = scripted ? at("scripted").textContent : "the model that answers";
  model.hidden = !name;
  at("scripted").hidden = !scripted;
}

// Coming in

async function enter() {
  const config = await readConfig(() => tell("The server cannot be reached. Trying again …"));
  tell("");
  if (!config.sign_in) return begin(config, null);
  signIn = new SignIn(config.sign_in);
  const sentence = await signIn.arrive();
  if (signIn.user === null) return showGate(signIn, sentence);
  signOut.hidden = false;
  begin(config, signIn.user);
  tell(sentence);
}

/** Shows the chat. `user` is null where nobody signs in. */
function begin(config, user) {
  outbox = new Outbox((frame) => connection.send(frame), user);
  thread = outbox.thread();
  outbox.entries.forEach(expect);
  nameModel(config.model);
  dock.hidden = false;
  write(outbox.takeDraft());
  text.focus();
  setInterval(() => {
    perform(reassembly.tick(nowS()));
    tick();
  }, TICK_MS);
  refresh();
  connection.begin(new Door(config, signIn));
  if (config.faults) void import("./faults.js").then(({ offerFaults }) => offerFaults());
}

/** The sign-in has ended by itself: what is being written, and what is not sent, waits for the next one. */
function signedOut(sentence) {
  outbox.keepDraft(text.value);
  write("");
  turnsList.replaceChildren();
  showGate(signIn, sentence);
}

signOut.onclick = () => {
  if (unanswered.size > 0 && !warned) {
    warned = true;
    tell("A message is not sent yet and would be lost. Press Sign out again to leave without it.");
    notice.scrollIntoView();
    return;
  }
  connection.end();
  outbox.forget();
  signIn.signOut();
};

void enter();
