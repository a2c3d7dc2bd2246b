// The client over a fake socket, in virtual time: messages, runs, and what heals them.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Closed, NotStored, Rejected, RunFailed, RunLost, Unanswered } from "../src/errors.js";
import type { MessageAccepted, MessageRejected, RunEvent } from "../src/protocol.js";
import { MemoryStore, type StoredMessage } from "../src/store.js";
import { FakePlace } from "./fake_place.js";
import { CANONICAL, frame } from "./vectors.js";

const RUN = CANONICAL[0]?.run_id ?? "";
const THREAD = CANONICAL[0]?.thread_id ?? "";
const [A1, A2, A3] = CANONICAL as [RunEvent, RunEvent, RunEvent];

let place: FakePlace;

beforeEach(() => {
  place = new FakePlace();
});

afterEach(() => {
  vi.useRealTimers();
});

function accepted(id: string | undefined, changes: Partial<MessageAccepted> = {}): MessageAccepted {
  const ids = { run_id: RUN, thread_id: THREAD, turn: 1 };
  const named = id === undefined ? {} : { client_message_id: id };
  return { type: "message_accepted", ...named, ...ids, duplicate: false, position: 0, ...changes };
}

function rejected(changes: Partial<MessageRejected>): MessageRejected {
  const retryable = ["overloaded", "rate_limited", "thread_busy"].includes(changes.code ?? "");
  return { type: "message_rejected", code: "overloaded", message: "Not now.", retryable, ...changes };
}

/** A store that has kept a message only once it is released. */
function slowStore(): { readonly store: MemoryStore; readonly release: () => void } {
  const store = new MemoryStore();
  const put = store.put.bind(store);
  let release: () => void = () => undefined;
  const slow = (message: StoredMessage): Promise<void> =>
    new Promise((resolve) => {
      release = () => {
        put(message);
        resolve();
      };
    });
  return { store: Object.assign(store, { put: slow }), release: () => release() };
}

test("a message becomes a run, and its events are handed on once each, in order, and end", async () => {
  const client = await place.connected();
  const message = client.send("Hello.");
  await place.pass(0);
  expect(place.socket.of("agent_message")).toEqual([
    { type: "agent_message", content: "Hello.", client_message_id: message.clientMessageId },
  ]);
  place.socket.say(accepted(message.clientMessageId));
  const run = await message.run;
  place.socket.say(A2, A1, A1, ...CANONICAL);
  const seen: number[] = [];
  for await (const event of run) seen.push(event.seq);
  expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7]);
  expect(place.seqs).toEqual(seen);
  expect(await run.answer()).toBe("There it is.");
  expect([run.threadId, run.turn, run.position]).toEqual([THREAD, 1, 0]);
  client.close();
});

test("a message is stored before it is sent, and no longer once it is accepted", async () => {
  const { store, release } = slowStore();
  const client = await place.connected({ store });
  const message = client.send("Hello.");
  await place.pass(60_000);
  expect(place.socket.of("agent_message")).toEqual([]);
  release();
  await place.pass(0);
  expect(place.socket.of("agent_message")).toHaveLength(1);
  expect(store.load().map((one) => one.client_message_id)).toEqual([message.clientMessageId]);
  place.socket.say(accepted(message.clientMessageId));
  await place.pass(0);
  expect(store.load()).toEqual([]);
  expect(client.waiting).toEqual([]);
  client.close();
});

test("a message that cannot be stored is not sent", async () => {
  const store = new MemoryStore();
  store.put = () => {
    throw new Error("full");
  };
  const client = await place.connected({ store });
  await expect(client.send("Hello.").run).rejects.toBeInstanceOf(NotStored);
  await place.pass(60_000);
  expect(place.sockets.flatMap((socket) => socket.of("agent_message"))).toEqual([]);
  client.close();
});

test("a message without an answer is sent again under its id, on every connection, until it is accepted", async () => {
  const client = await place.connected();
  const message = client.send("Hello.");
  await place.pass(5000);
  expect(place.socket.of("agent_message")).toHaveLength(2);
  place.socket.end();
  await place.pass(1000);
  place.socket.say(accepted(message.clientMessageId, { duplicate: true }));
  expect((await message.run).runId).toBe(RUN);
  await place.pass(60_000);
  const sent = place.sockets.flatMap((socket) => socket.of("agent_message"));
  expect(sent).toHaveLength(3);
  expect(new Set(sent.map((one) => one.client_message_id))).toEqual(new Set([message.clientMessageId]));
  client.close();
});

test("after a reload what was left is sent again under its id, before what is said since", async () => {
  const store = new MemoryStore();
  const first = await place.connected({ store });
  const left = first.send("Before.", { threadId: THREAD });
  await place.pass(0);
  first.close();
  await expect(left.run).rejects.toBeInstanceOf(Closed);
  const second = place.client({ store });
  second.send("After.", { threadId: THREAD });
  void second.connect();
  await place.pass(100);
  const id = left.clientMessageId;
  expect(second.waiting.map((one) => one.content)).toEqual(["Before.", "After."]);
  expect(place.socket.of("agent_message").map((one) => one.content)).toEqual(["Before."]);
  expect(place.socket.of("agent_message")[0]?.client_message_id).toBe(id);
  place.socket.say(accepted(id, { duplicate: true }));
  await place.pass(0);
  expect(place.socket.of("agent_message").map((one) => one.content)).toEqual(["Before.", "After."]);
  expect(place.of("accepted").map((one) => one.clientMessageId)).toEqual([id]);
  second.close();
});

test("messages of different threads do not wait for each other", async () => {
  const client = await place.connected();
  ["one", "two"].forEach((content) => client.send(content));
  await place.pass(0);
  expect(place.socket.of("agent_message").map((one) => one.content)).toEqual(["one", "two"]);
  client.close();
});

test("an event may come before the reply, and then is the reply", async () => {
  const client = await place.connected();
  const message = client.send("Hello.");
  await place.pass(0);
  place.socket.say({ ...A1, client_message_id: message.clientMessageId } as RunEvent, A2);
  expect((await message.run).events).toHaveLength(2);
  await place.pass(60_000);
  expect(place.sockets.flatMap((socket) => socket.of("agent_message"))).toHaveLength(1);
  client.close();
});

test("a refusal for good ends the message, a retryable one does not", async () => {
  const client = await place.connected();
  const message = client.send("Hello.");
  const id = message.clientMessageId;
  await place.pass(0);
  place.socket.say(rejected({ client_message_id: id, code: "rate_limited", retry_after_ms: 7000 }));
  await place.pass(6900);
  expect(place.socket.of("agent_message")).toHaveLength(1);
  await place.pass(500);
  expect(place.socket.of("agent_message")).toHaveLength(2);
  place.socket.say(rejected({ client_message_id: id, code: "conflict", message: "Another." }));
  await expect(message.run).rejects.toMatchObject({ name: "Rejected", code: "conflict", message: "Another." });
  expect(place.of("refused").map(({ refusal }) => [refusal.code, refusal.retryInMs])).toEqual([
    ["rate_limited", 7000],
    ["conflict", undefined],
  ]);
  await place.pass(60_000);
  expect(place.socket.of("agent_message")).toHaveLength(2);
  client.close();
});

test("where second messages are refused the person is told, not made to wait", async () => {
  const client = await place.connected();
  const message = client.send("Hello.", { threadId: THREAD });
  await place.pass(0);
  place.socket.say(rejected({ client_message_id: message.clientMessageId, code: "thread_busy" }));
  await expect(message.run).rejects.toMatchObject({ code: "thread_busy" });
  client.close();
});

test("a message taken back is not sent again", async () => {
  const store = new MemoryStore();
  const client = await place.connected({ store });
  const message = client.send("Hello.");
  await place.pass(0);
  expect(client.withdraw(message.clientMessageId)).toBe(true);
  expect(client.withdraw(message.clientMessageId)).toBe(false);
  await expect(message.run).rejects.toMatchObject({ name: "Withdrawn" });
  await place.pass(60_000);
  expect(place.sockets.flatMap((socket) => socket.of("agent_message"))).toHaveLength(1);
  expect(store.load()).toEqual([]);
  client.close();
});

test("a message taken back before it is stored is not kept, and not sent", async () => {
  const { store, release } = slowStore();
  const client = await place.connected({ store });
  client.withdraw(client.send("Hello.").clientMessageId);
  release();
  await place.pass(0);
  expect(store.load()).toEqual([]);
  expect(place.socket.of("agent_message")).toEqual([]);
  client.close();
});

test("an error of the gateway means: send again, under the same id", async () => {
  const client = await place.connected();
  client.send("Hello.");
  await place.pass(0);
  place.socket.sayText('{"message": "Internal server error", "connectionId": "c", "requestId": "r"}');
  await place.pass(1000);
  const sent = place.socket.of("agent_message");
  expect(sent).toHaveLength(2);
  expect(sent[0]).toEqual(sent[1]);
  client.close();
});

test("what no server would take is refused here and not stored", async () => {
  const store = new MemoryStore();
  const client = await place.connected({ store });
  for (const [content, code] of [
    ["", "bad_value"],
    [" \n\u200b", "bad_value"],
    ["a\u0007b", "bad_value"],
    ["\ud800", "bad_encoding"],
    ["ä".repeat(6145), "too_large"],
    ['"'.repeat(9000), "too_large"],
  ]) {
    expect(() => client.send(content ?? "")).toThrow(expect.objectContaining({ name: "Rejected", code }) as Error);
  }
  expect(store.load()).toEqual([]);
  client.close();
});

test("two messages under one id are refused, the same one twice is one", async () => {
  const client = await place.connected();
  const clientMessageId = "0192a000-0000-4000-8000-0000000000c1";
  const message = client.send("Hello.", { clientMessageId });
  expect(client.send("Hello.", { clientMessageId })).toBe(message);
  expect(() => client.send("Bye.", { clientMessageId })).toThrow(Rejected);
  client.close();
});

test("a hole is asked for after a second, and the replay fills it", async () => {
  const client = await place.connected();
  place.socket.say(A1, A3);
  await place.pass(900);
  expect(place.socket.of("resume")).toEqual([]);
  await place.pass(300);
  expect(place.socket.of("resume")).toEqual([{ type: "resume", run_id: RUN, after_seq: 1 }]);
  place.socket.say({ ...A2, replay: true }, { ...A3, replay: true });
  expect(place.seqs).toEqual([1, 2, 3]);
  client.close();
});

test("on a new connection every open run goes on where it stood", async () => {
  const client = await place.connected();
  place.socket.say(A1, A2);
  place.socket.end();
  await place.pass(1000);
  expect(place.sockets).toHaveLength(2);
  expect(place.socket.of("resume")).toEqual([{ type: "resume", run_id: RUN, after_seq: 2 }]);
  place.socket.say(...CANONICAL.map((event) => ({ ...event, replay: true as const })));
  expect(place.seqs).toEqual([1, 2, 3, 4, 5, 6, 7]);
  place.socket.end();
  await place.pass(5000);
  expect(place.socket.of("resume")).toEqual([]);
  client.close();
});

test("a ping carries the receipts of open runs", async () => {
  const client = await place.connected();
  place.socket.say(A1, A2);
  await place.pass(5000);
  expect(place.socket.of("ping").at(-1)).toEqual({ type: "ping", cursors: { [RUN]: 2 } });
  client.close();
});

test("a head in a pong of a run nobody here knows brings the whole run", async () => {
  const client = await place.connected();
  place.socket.say({ type: "pong", heads: { [RUN]: { last_seq: 3, status: "running" } } });
  expect(place.socket.of("resume")).toEqual([{ type: "resume", run_id: RUN, after_seq: 0 }]);
  place.socket.say({ ...A1, replay: true });
  expect(place.of("run").map(({ run }) => run.runId)).toEqual([RUN]);
  client.close();
});

test("follow goes on after what is known, and is sent once there is a connection", async () => {
  const client = place.client();
  const run = client.follow(RUN, 5);
  void client.connect();
  await place.pass(0);
  expect(place.socket.of("resume")).toEqual([{ type: "resume", run_id: RUN, after_seq: 5 }]);
  place.socket.say(...CANONICAL.slice(5));
  expect((await run.result()).seq).toBe(7);
  expect(client.cursor(RUN)).toBe(7);
  client.close();
});

test("a run that can no longer be had says so to its readers", async () => {
  const client = await place.connected();
  const run = client.follow(RUN);
  place.socket.say(rejected({ run_id: RUN, code: "expired" }));
  await expect(run.result()).rejects.toBeInstanceOf(RunLost);
  const again = client.follow(RUN);
  expect(again).not.toBe(run);
  place.socket.say(A1);
  expect(again.events).toHaveLength(1);
  expect(place.of("lost").map(({ code }) => code)).toEqual(["expired"]);
  expect(place.sockets).toHaveLength(1);
  client.close();
});

test("a session that is over leads to a new connection with a new ticket, and the message is sent there", async () => {
  const tickets = ["first", "second"];
  const client = await place.connected({ ticket: () => Promise.resolve(tickets.shift() ?? "none") });
  const message = client.send("Hello.");
  await place.pass(0);
  place.socket.say(rejected({ client_message_id: message.clientMessageId, code: "expired" }));
  await place.pass(1000);
  expect(place.sockets.map((socket) => socket.protocols[1])).toEqual(["ticket.first", "ticket.second"]);
  expect(place.socket.of("agent_message")).toHaveLength(1);
  expect(place.of("refused")).toEqual([]);
  client.close();
});

test("cancel returns once the wish is durable, and is sent until then", async () => {
  const client = await place.connected();
  place.socket.say(A1);
  const cancelled = client.runs[0]?.cancel();
  place.socket.end();
  await place.pass(1000);
  expect(place.socket.of("cancel")).toEqual([{ type: "cancel", run_id: RUN }]);
  place.socket.say({ type: "cancel_accepted", run_id: RUN });
  await cancelled;
  place.socket.say({ ...frame("A2"), type: "error", code: "cancelled", message: "Stopped.", retryable: false } as RunEvent);
  await expect(client.runs[0]?.answer()).rejects.toBeInstanceOf(RunFailed);
  client.close();
});

test("a cancel of a run that is not there is refused, and one without any answer is given up", async () => {
  const client = await place.connected();
  const run = client.follow(RUN);
  place.socket.say({ type: "replay_complete", run_id: RUN, after_seq: 0, last_seq: 0, status: "running" });
  const refused = expect(run.cancel()).rejects.toMatchObject({ code: "not_found" });
  place.socket.say(rejected({ run_id: RUN, code: "not_found" }));
  await refused;
  const unanswered = expect(run.cancel()).rejects.toBeInstanceOf(Unanswered);
  await place.pass(70_000);
  await unanswered;
  expect(place.socket.of("cancel")).toHaveLength(13);
  client.close();
});

test("a command asked twice is sent once, and again soon after an error of the gateway", async () => {
  const client = await place.connected();
  place.socket.say(A1);
  const both = [client.runs[0]?.cancel(), client.runs[0]?.cancel()];
  expect(place.socket.of("cancel")).toHaveLength(1);
  place.socket.sayText('{"message": "Internal server error"}');
  await place.pass(1000);
  expect(place.socket.of("cancel")).toHaveLength(2);
  place.socket.say({ type: "cancel_accepted", run_id: RUN });
  await Promise.all(both);
  client.close();
});

test("a command bears a few refusals that may pass, and no more", async () => {
  const client = await place.connected();
  place.socket.say(A1);
  const refused = expect(client.runs[0]?.cancel()).rejects.toMatchObject({ code: "overloaded" });
  for (const [borne, waitMs] of [500, 1000, 2000, 4000, 8000].entries()) {
    expect(place.socket.of("cancel")).toHaveLength(borne + 1);
    place.socket.say(rejected({ run_id: RUN, code: "overloaded", retry_after_ms: 100 }));
    await place.pass(waitMs + 250);
  }
  place.socket.say(rejected({ run_id: RUN, code: "overloaded" }));
  await refused;
  await place.pass(60_000);
  expect(place.socket.of("cancel")).toHaveLength(6);
  client.close();
});

test("a server that does not hold the rest of an answer is not asked for ever", async () => {
  const client = await place.connected();
  place.socket.say(...CANONICAL.slice(0, 6), { ...frame("A7"), truncated: true, full_bytes: 99 } as RunEvent);
  const lost = expect(client.runs[0]?.answer()).rejects.toBeInstanceOf(RunLost);
  await place.pass(0);
  place.socket.say({ type: "answer_part", run_id: RUN, offset: 12, text: "", full_bytes: 12 });
  await lost;
  client.close();
});

test("a long answer is read to its end, by bytes of UTF-8", async () => {
  const client = await place.connected();
  const ending = { ...frame("A7"), content: "äö", truncated: true, full_bytes: 9 } as RunEvent;
  place.socket.say(...CANONICAL.slice(0, 6), ending);
  const answer = client.runs[0]?.answer();
  await place.pass(0);
  expect(place.socket.of("answer")).toEqual([{ type: "answer", run_id: RUN, offset: 4 }]);
  place.socket.say({ type: "answer_part", run_id: RUN, offset: 4, text: "€", full_bytes: 9 });
  await place.pass(0);
  place.socket.say({ type: "answer_part", run_id: RUN, offset: 7, text: "ab", full_bytes: 9 });
  expect(await answer).toBe("äö€ab");
  client.close();
});

test("a thread is asked for until its end does not move", async () => {
  const client = await place.connected();
  const resumed = client.resumeThread(THREAD);
  await place.pass(0);
  expect(place.socket.of("resume")).toEqual([{ type: "resume", thread_id: THREAD, after: { turn: 1, seq: 0 } }]);
  place.socket.say(...CANONICAL.map((event) => ({ ...event, replay: true as const })));
  const through = { turn: 1, seq: 7 };
  place.socket.say({ type: "replay_complete", thread_id: THREAD, through });
  await place.pass(0);
  expect(place.socket.of("resume")[1]).toEqual({ type: "resume", thread_id: THREAD, after: through });
  place.socket.say({ type: "replay_complete", thread_id: THREAD, through });
  expect(await resumed).toEqual(through);
  expect(place.seqs).toEqual([1, 2, 3, 4, 5, 6, 7]);
  client.close();
});

test("a run that a thread's replay passed and that is not whole here is asked for", async () => {
  const client = await place.connected();
  void client.resumeThread(THREAD).catch(() => undefined);
  await place.pass(0);
  place.socket.say(A1, A2);
  place.socket.say({ ...A1, run_id: RUN.replace(/a$/, "b"), turn: 2 });
  place.socket.say({ ...A1, run_id: RUN.replace(/a$/, "c"), thread_id: RUN });
  place.socket.say({ type: "replay_complete", thread_id: THREAD, through: { turn: 2, seq: 3 } });
  await place.pass(0);
  const asked = place.socket.of("resume").filter((one) => "run_id" in one);
  expect(asked).toEqual([{ type: "resume", run_id: RUN, after_seq: 2 }]);
  client.close();
});

test("a thread that is not there, or no longer kept, is refused; a nameless refusal hurts no message", async () => {
  const client = await place.connected();
  const message = client.send("Hello.");
  const absent = expect(client.resumeThread(THREAD)).rejects.toMatchObject({ code: "not_found" });
  await place.pass(0);
  place.socket.say(rejected({ code: "not_found" }));
  await absent;
  const forgotten = expect(client.resumeThread(THREAD, 2)).rejects.toMatchObject({ code: "expired" });
  await place.pass(0);
  place.socket.say(rejected({ code: "expired", run_id: RUN }));
  await forgotten;
  expect(client.waiting).toEqual([message]);
  client.close();
});

test("refusals of other frames are none of a thread's replay", async () => {
  const client = await place.connected();
  const resumed = client.resumeThread(THREAD);
  const message = client.send("Hello.");
  const run = client.follow(RUN);
  await place.pass(0);
  client.withdraw(message.clientMessageId);
  place.socket.say(rejected({ client_message_id: message.clientMessageId, code: "not_found" }));
  place.socket.say(rejected({ run_id: RUN, code: "expired" }));
  await expect(run.result()).rejects.toBeInstanceOf(RunLost);
  place.socket.say({ type: "replay_complete", thread_id: THREAD, through: { turn: 1, seq: 0 } });
  expect(await resumed).toEqual({ turn: 1, seq: 0 });
  client.close();
});

test("replays of one thread wait for each other", async () => {
  const client = await place.connected();
  const all = [client.resumeThread(THREAD), client.resumeThread(THREAD, 2)];
  await place.pass(0);
  expect(place.socket.of("resume")).toHaveLength(1);
  place.socket.say({ type: "replay_complete", thread_id: THREAD, through: { turn: 1, seq: 0 } });
  await place.pass(0);
  all.push(client.resumeThread(THREAD, 3));
  await place.pass(0);
  expect(place.socket.of("resume")).toHaveLength(2);
  place.socket.say({ type: "replay_complete", thread_id: THREAD, through: { turn: 2, seq: 0 } });
  await place.pass(0);
  place.socket.say({ type: "replay_complete", thread_id: THREAD, through: { turn: 3, seq: 0 } });
  expect(await Promise.all(all)).toEqual([1, 2, 3].map((turn) => ({ turn, seq: 0 })));
  client.close();
});

test("pieces of the answer, the user's message and signs of life are told", async () => {
  const client = await place.connected();
  const ids = { run_id: RUN, thread_id: THREAD };
  place.socket.say(
    { type: "run_input", ...ids, turn: 1, content: "Hello.", timestamp: "2025-01-01T00:00:00.000Z" },
    A1,
    { type: "response_delta", ...ids, draft: 0, index: 1, text: " it is." },
    { type: "response_delta", ...ids, draft: 0, index: 0, text: "There" },
    { type: "heartbeat", run_id: RUN, last_seq: 1, elapsed_ms: 5, activity: "Writing" },
  );
  expect(place.of("input").map(({ input }) => input.content)).toEqual(["Hello."]);
  expect(place.of("delta").map(({ delta }) => delta.text)).toEqual(["There", " it is."]);
  expect(place.of("heartbeat")).toHaveLength(1);
  expect(client.runs[0]?.heartbeat?.activity).toBe("Writing");
  client.close();
});

test("a listener that throws hurts nobody else", async () => {
  const uncaught: unknown[] = [];
  vi.stubGlobal("queueMicrotask", (callback: () => void) => {
    try {
      callback();
    } catch (error) {
      uncaught.push(error);
    }
  });
  const client = place.client();
  client.on("event", () => {
    throw new Error("mine");
  });
  const seen: number[] = [];
  const note = ({ event }: { readonly event: RunEvent }): unknown => seen.push(event.seq);
  client.on("event", note)();
  const end = client.on("event", note);
  void client.connect();
  await place.pass(0);
  place.socket.say(A1, A2);
  end();
  place.socket.say(A3);
  expect(seen).toEqual([1, 2]);
  expect(uncaught).toHaveLength(3);
  client.close();
});

test("frames nobody understands are left out", async () => {
  const client = await place.connected();
  place.socket.sayText("{");
  place.socket.sayText("[]");
  place.socket.sayText('{"type": "agent_dreaming"}');
  place.socket.sayText(JSON.stringify({ ...A1, seq: "1" }));
  expect(place.seqs).toEqual([]);
  place.socket.say(A1);
  expect(place.seqs).toEqual([1]);
  client.close();
});

test("a run that was let go of ends for its readers, and is not in the list", async () => {
  const client = await place.connected();
  place.socket.say(A1);
  const [run] = client.runs;
  if (run === undefined) throw new Error("no run");
  client.forget(run);
  await expect(run.result()).rejects.toBeInstanceOf(RunLost);
  expect(client.runs).toEqual([]);
  client.close();
});

test("close ends everything, once and for good, and leaves no timer", async () => {
  const store = new MemoryStore();
  const client = await place.connected({ store });
  const run = client.follow(RUN);
  const message = client.send("Hello.");
  const asked = [run.cancel(), client.resumeThread(THREAD), message.run, run.result()];
  const ends = asked.map((one) => expect(one).rejects.toBeInstanceOf(Closed));
  await place.pass(0);
  client.close();
  client.close();
  await Promise.all(ends);
  expect(place.socket.isClosed).toBe(true);
  expect(client.connection).toEqual({ state: "closed" });
  expect(() => client.send("More.")).toThrow(Closed);
  await expect(client.connect()).rejects.toBeInstanceOf(Closed);
  await expect(run.cancel()).rejects.toBeInstanceOf(Closed);
  expect(store.load().map((one: StoredMessage) => one.content)).toEqual(["Hello."]);
  await place.pass(10);
  expect(vi.getTimerCount()).toBe(0);
  expect(place.isWatched).toBe(false);
});

test("a client that is closed while its store is read begins nothing", async () => {
  const store = new MemoryStore();
  let read: () => void = () => undefined;
  const load = new Promise<readonly StoredMessage[]>((resolve) => (read = () => resolve([])));
  const client = place.client({ store: Object.assign(store, { load: () => load }) });
  const closed = expect(client.connect()).rejects.toBeInstanceOf(Closed);
  client.close();
  read();
  await closed;
  await place.pass(1000);
  expect([vi.getTimerCount(), place.isWatched, place.sockets.length]).toEqual([0, false, 0]);
});

test("a store that cannot be read is told, and nothing is sent past what may wait there", async () => {
  const store = Object.assign(new MemoryStore(), { load: () => Promise.reject(new Error("locked")) });
  const client = place.client({ store });
  await expect(client.connect()).rejects.toBeInstanceOf(NotStored);
  await place.pass(1000);
  expect(place.sockets).toEqual([]);
  client.close();
});

test("a listener that listens twice is told twice, and each time can be ended", async () => {
  const client = place.client();
  const told: string[] = [];
  const listener = ({ type }: { readonly type: string }): unknown => told.push(type);
  const ends = [client.subscribe(listener), client.subscribe(listener)];
  void client.connect();
  await Promise.resolve();
  await Promise.resolve();
  const before = told.length;
  expect(before).toBe(2);
  ends[0]?.();
  await place.pass(0);
  expect(told).toHaveLength(3);
  client.close();
});
