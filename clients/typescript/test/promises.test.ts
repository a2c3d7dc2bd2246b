// The client's promises under whatever a network can do, for many seeds: one message, one run; each event once, in order.
import { afterEach, expect, test, vi } from "vitest";
import { FakePlace } from "./fake_place.js";
import { luckOf } from "./luck.js";
import { MemoryStore } from "../src/store.js";
import { UnluckyServer } from "./unlucky_server.js";

const SEEDS = 150;

afterEach(() => {
  vi.useRealTimers();
});

async function weather(place: FakePlace, server: UnluckyServer, seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second += 1) {
    await place.pass(1000);
    server.trouble();
  }
}

async function season(seed: number): Promise<void> {
  const place = new FakePlace();
  const luck = luckOf(seed);
  const server = new UnluckyServer(luck);
  const store = new MemoryStore();
  const surroundings = { ...place.surroundings, openSocket: server.openSocket, chance: () => luck.next() };
  const page = place.client({ store, surroundings });
  void page.connect();
  const said: string[] = [];
  for (const content of ["one", "two", "three", "four"]) {
    await weather(place, server, luck.below(12));
    said.push(page.send(content, { threadId: "0192a000-0000-7000-8000-000000000001" }).clientMessageId);
  }
  page.close(); // a reload, with whatever is still on its way
  place.happenings.length = 0;
  const next = place.client({ store, surroundings });
  for (const [, run] of server.runs) next.follow(run.runId);
  void next.connect();
  await weather(place, server, 30);
  server.isStormy = false;
  await weather(place, server, 60);

  expect([...server.runs.keys()], "one run for each message, in their order").toEqual(said);
  expect([...server.runs.values()].map((run) => run.content)).toEqual(["one", "two", "three", "four"]);
  expect(store.load(), "nothing waits").toEqual([]);
  expect(next.runs).toHaveLength(said.length);
  for (const run of next.runs) {
    const told = place.of("event").filter((one) => one.run === run);
    expect(told.map(({ event }) => event.seq)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect((await run.result()).type).toBe("final_response");
  }
  next.close();
  await place.pass(5000);
  expect(vi.getTimerCount(), "no timer is left").toBe(0);
}

test("whatever the network does, one message is one run, and each of its events is told once and in order", async () => {
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    await season(seed).catch((error: unknown) => {
      throw new Error(`seed ${seed}`, { cause: error });
    });
    vi.useRealTimers();
  }
}, 120_000);
