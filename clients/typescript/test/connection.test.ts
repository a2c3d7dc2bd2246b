// The connection over fake sockets, in virtual time: tickets, back-off, pings, dead lines, and a new line in time.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { SignedOut } from "../src/errors.js";
import { FakePlace } from "./fake_place.js";
import { CANONICAL } from "./vectors.js";

const MINUTE = 60_000;

let place: FakePlace;

beforeEach(() => {
  place = new FakePlace();
});

afterEach(() => {
  vi.useRealTimers();
});

test("the socket is asked for by subprotocol, with the ticket beside it and not in the address", async () => {
  const client = await place.connected();
  expect(place.socket.url).toBe("wss://chat.example.org/ws");
  expect(place.socket.protocols).toEqual(["playbyplay.v1", "ticket.one"]);
  client.close();
});

test("a gateway that knows no subprotocol gets the ticket in the address", async () => {
  const client = await place.connected({ ticketInQuery: true, url: "wss://gate.example.org/live?stage=1" });
  expect(place.socket.url).toBe("wss://gate.example.org/live?stage=1&ticket=one");
  expect(place.socket.protocols).toEqual(["playbyplay.v1"]);
  client.close();
});

test("a server that needs no ticket is asked without one", async () => {
  const client = await place.connected({ ticket: null });
  expect(place.socket.protocols).toEqual(["playbyplay.v1"]);
  client.close();
});

test("who does not speak the protocol is no server", async () => {
  place.opens = false;
  const client = place.client();
  void client.connect();
  await place.pass(0);
  place.socket.open("");
  expect(place.socket.isClosed).toBe(true);
  expect(client.connection).toMatchObject({ state: "waiting", reason: "The server does not speak playbyplay.v1." });
  client.close();
});

test("the back-off begins at half a second, doubles to twenty, and is drawn from all of that", async () => {
  place.opens = false;
  const waits: number[] = [];
  const client = place.client();
  client.on("connection", ({ connection }) => {
    if (connection.state === "waiting") waits.push(connection.retryInMs);
  });
  void client.connect();
  for (let attempt = 0; attempt < 9; attempt += 1) {
    place.chance = attempt === 8 ? 0.25 : 0.999;
    await place.pass(0);
    place.socket.end();
    await place.pass((waits.at(-1) ?? 0) + 1);
  }
  expect(waits.map((wait) => Math.round(wait / 10) * 10)).toEqual([500, 1000, 2000, 4000, 7990, 15980, 19980, 19980, 5000]);
  client.close();
});

test("a connection that lived starts the back-off over, one that ends at once does not", async () => {
  place.chance = 0.999;
  const client = await place.connected();
  const waits = (): (number | undefined)[] =>
    place.of("connection").flatMap(({ connection }) => (connection.state === "waiting" ? [connection.retryInMs] : []));
  for (let time = 0; time < 3; time += 1) {
    place.socket.end();
    await place.pass(3000);
  }
  await place.pass(10_000);
  place.socket.end();
  expect(waits().map((wait) => Math.round((wait ?? 0) / 10) * 10)).toEqual([500, 1000, 2000, 500]);
  client.close();
});

test("each attempt has a ticket of its own, and one that cannot be had is an attempt that failed", async () => {
  let asked = 0;
  const ticket = (): Promise<string> => {
    asked += 1;
    return asked < 3 ? Promise.reject(new Error("no network")) : Promise.resolve(`ticket-${asked}`);
  };
  const client = place.client({ ticket });
  void client.connect();
  await place.pass(2000);
  expect(place.sockets.map((socket) => socket.protocols[1])).toEqual(["ticket.ticket-3"]);
  client.close();
});

test("who throws where a promise was due is an attempt that failed too", async () => {
  let asked = 0;
  const ticket = (): Promise<string> => {
    asked += 1;
    if (asked === 1) throw new Error("at once");
    return Promise.resolve("later");
  };
  const client = place.client({ ticket });
  void client.connect();
  await place.pass(1000);
  expect(place.sockets).toHaveLength(1);
  client.close();
});

test("a place that lets no socket be opened is an attempt that failed", async () => {
  const surroundings = {
    ...place.surroundings,
    openSocket: () => {
      throw new Error("SecurityError");
    },
  };
  const client = place.client({ surroundings });
  void client.connect();
  await place.pass(0);
  expect(client.connection).toMatchObject({ state: "waiting" });
  client.close();
});

test("who is signed out is told, and nothing is tried again until connect is called", async () => {
  let isSignedIn = false;
  const ticket = (): Promise<string> =>
    isSignedIn ? Promise.resolve("one") : Promise.reject(new SignedOut("Sign in again."));
  const client = place.client({ ticket });
  const refused = expect(client.connect()).rejects.toBeInstanceOf(SignedOut);
  await place.pass(MINUTE);
  await refused;
  expect(place.states).toEqual(["connecting", "signed_out"]);
  isSignedIn = true;
  void client.connect();
  await place.pass(0);
  expect(client.connection).toEqual({ state: "open" });
  client.close();
});

test("a handshake without an answer is given up", async () => {
  place.opens = false;
  const client = place.client();
  void client.connect();
  await place.pass(10_000);
  expect(place.sockets[0]?.isClosed).toBe(true);
  await place.pass(1000);
  expect(place.sockets).toHaveLength(2);
  client.close();
});

test("a ticket without an answer is given up, and its request is ended", async () => {
  const signals: AbortSignal[] = [];
  const ticket = (signal: AbortSignal): Promise<string> => {
    signals.push(signal);
    return new Promise(() => undefined);
  };
  const client = place.client({ ticket });
  void client.connect();
  await place.pass(11_000);
  expect(signals.map((signal) => signal.aborted)).toEqual([true, false]);
  client.close();
  expect(signals[1]?.aborted).toBe(true);
});

test("it pings each twenty seconds, each five while a run is open or an answer is waited for", async () => {
  const client = await place.connected();
  await place.pass(MINUTE);
  expect(place.socket.of("ping")).toHaveLength(4);
  place.socket.say(...CANONICAL.slice(0, 2));
  await place.pass(MINUTE);
  expect(place.socket.of("ping")).toHaveLength(4 + 12);
  place.socket.say(...CANONICAL.slice(2));
  await place.pass(MINUTE);
  expect(place.socket.of("ping").length - 16).toBeLessThanOrEqual(3);
  const message = client.send("Hello.");
  await place.pass(MINUTE);
  expect(place.socket.of("ping").length).toBeGreaterThanOrEqual(16 + 2 + 11);
  expect(place.sockets).toHaveLength(1);
  void message;
  client.close();
});

test("a line that says nothing after a ping is dead, and another is opened at once", async () => {
  const client = await place.connected();
  place.answersPings = false;
  await place.pass(20_000);
  expect(place.sockets).toHaveLength(1);
  await place.pass(5600);
  expect(place.sockets[0]?.isClosed).toBe(true);
  expect(place.sockets).toHaveLength(2);
  expect(place.of("connection").map(({ connection }) => connection)).toContainEqual(
    expect.objectContaining({ state: "waiting", reason: "The line is dead." }),
  );
  client.close();
});

test("anything that is said shows that a line is alive", async () => {
  const client = await place.connected();
  place.answersPings = false;
  const [first] = CANONICAL;
  if (first === undefined) throw new Error("no event");
  for (let second = 0; second < 60; second += 4) {
    place.socket.say({ type: "heartbeat", run_id: first.run_id, last_seq: 0, elapsed_ms: 1, activity: "Working" });
    await place.pass(4000);
  }
  expect(place.sockets).toHaveLength(1);
  client.close();
});

test("pings in between do not put off the verdict on a dead line", async () => {
  const client = await place.connected();
  await place.pass(10_000);
  place.answersPings = false;
  for (const ms of [2000, 2000, 1600]) {
    place.wake();
    await place.pass(ms);
  }
  expect(place.sockets[0]?.isClosed).toBe(true);
  client.close();
});

test("the network that is back, or the page that is looked at, ends the wait and tests the line", async () => {
  place.chance = 0.999;
  const client = await place.connected();
  const pings = place.socket.of("ping").length;
  place.wake();
  expect(place.socket.of("ping")).toHaveLength(pings + 1);
  place.socket.end();
  place.wake();
  await place.pass(1);
  expect(client.connection).toEqual({ state: "open" });
  expect(place.sockets).toHaveLength(2);
  client.close();
  place.wake();
  expect(place.sockets).toHaveLength(2);
});

test("before two hours another line is opened, and only when it stands the old one is left", async () => {
  place.chance = 0; // the latest it may be, and attempts that follow at once
  const client = await place.connected();
  await place.pass(109.9 * MINUTE);
  expect(place.sockets).toHaveLength(1);
  place.socket.say(...CANONICAL.slice(0, 2));
  place.opens = false;
  await place.pass(0.1 * MINUTE);
  const [old, first] = place.sockets;
  expect(old?.isClosed).toBe(false);
  expect(client.connection).toEqual({ state: "open" });
  first?.end();
  await place.pass(1000);
  const next = place.socket;
  expect(next).not.toBe(first);
  next.open();
  expect(old?.isClosed).toBe(true);
  expect(next.of("resume")).toEqual([{ type: "resume", run_id: CANONICAL[0]?.run_id, after_seq: 2 }]);
  expect(place.states.filter((state) => state !== "open")).toEqual(["connecting"]);
  old?.sayText(JSON.stringify(CANONICAL[2]));
  expect(place.seqs).toEqual([1, 2]);
  place.chance = 0.999;
  next.end();
  expect(client.connection).toMatchObject({ state: "waiting", retryInMs: 499.5 });
  client.close();
});

test("a new line that cannot be had in time is tried for with the usual back-off", async () => {
  place.chance = 0.999;
  const client = await place.connected();
  place.opens = false;
  await place.pass(98.9 * MINUTE);
  for (let second = 0; second < 30; second += 1) {
    await place.pass(1000);
    place.sockets.slice(1).forEach((socket) => socket.end());
  }
  expect(place.sockets.length).toBeGreaterThan(3);
  expect(place.sockets.length).toBeLessThan(10);
  expect(place.sockets[0]?.isClosed).toBe(false);
  client.close();
});

test("the old line may end while the new one is on its way", async () => {
  place.chance = 0.999; // the earliest it may be
  const client = await place.connected();
  await place.pass(98.9 * MINUTE);
  expect(place.sockets).toHaveLength(1);
  place.opens = false;
  await place.pass(0.2 * MINUTE);
  place.chance = 0;
  await place.pass(0.1 * MINUTE);
  const [old] = place.sockets;
  old?.end();
  expect(client.connection).toEqual({ state: "connecting" });
  const before = place.sockets.length;
  place.socket.open();
  expect(client.connection).toEqual({ state: "open" });
  await place.pass(4000);
  expect(place.sockets).toHaveLength(before);
  client.close();
});

test("a client that is closed while it connects opens nothing", async () => {
  let give: (ticket: string) => void = () => undefined;
  const client = place.client({ ticket: () => new Promise<string>((resolve) => (give = resolve)) });
  const connecting = expect(client.connect()).rejects.toMatchObject({ name: "Closed" });
  await place.pass(10);
  client.close();
  expect(vi.getTimerCount()).toBe(0);
  give("late");
  await place.pass(MINUTE);
  await connecting;
  expect(place.sockets).toEqual([]);
});

test("connect waits for the first connection, and is at once where one stands", async () => {
  place.opens = false;
  const client = place.client();
  let stands = false;
  void client.connect().then(() => (stands = true));
  void client.connect();
  await place.pass(MINUTE);
  expect(stands).toBe(false);
  place.opens = true;
  await place.pass(MINUTE);
  expect(stands).toBe(true);
  await client.connect();
  client.close();
});
