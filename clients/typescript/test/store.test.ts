// The stores that come with the client.
import { expect, test } from "vitest";
import { MemoryStore, type MessageStore, type StoredMessage, type WebStorage, WebStore } from "../src/store.js";

class FakeStorage implements WebStorage {
  readonly items = new Map<string, string>();

  get length(): number {
    return this.items.size;
  }

  key(index: number): string | null {
    return [...this.items.keys()][index] ?? null;
  }

  getItem(key: string): string | null {
    return this.items.get(key) ?? null;
  }

  setItem(key: string, value: string): void {
    this.items.set(key, value);
  }

  removeItem(key: string): void {
    this.items.delete(key);
  }
}

const EARLY: StoredMessage = { client_message_id: "b", content: "one", thread_id: "t", said_at: 1 };
const LATE: StoredMessage = { client_message_id: "a", content: "two", said_at: 2 };

const stores: readonly (readonly [string, () => MessageStore])[] = [
  ["MemoryStore", () => new MemoryStore()],
  ["WebStore", () => new WebStore(new FakeStorage(), "ada")],
];

test.each(stores)("%s keeps messages, the oldest first, until they are removed", async (_name, make) => {
  const store = make();
  await store.put(EARLY);
  await store.put(LATE);
  expect(await store.load()).toEqual([EARLY, LATE]);
  await store.remove("b");
  await store.remove("b");
  expect(await store.load()).toEqual([LATE]);
});

test("a WebStore outlives its page, and two who share a browser do not see each other's", () => {
  const storage = new FakeStorage();
  new WebStore(storage, "ada").put(LATE);
  new WebStore(storage, "ada").put(EARLY);
  expect(new WebStore(storage, "ada").load()).toEqual([EARLY, LATE]);
  for (const other of ["ada.b", "ada:b", "ad", "ada%3Ab"]) {
    const store = new WebStore(storage, other);
    expect(store.load()).toEqual([]);
    store.put({ ...LATE, content: other });
  }
  expect(new WebStore(storage, "ada").load()).toEqual([EARLY, LATE]);
});

test("a WebStore leaves out what is not its own", () => {
  const storage = new FakeStorage();
  const store = new WebStore(storage, "ada");
  store.put(LATE);
  for (const [id, text] of [
    ["1", "{"],
    ["2", "null"],
    ["3", '{"content": 7}'],
  ]) {
    storage.setItem(`playbyplay.message:ada:${id ?? ""}`, text ?? "");
  }
  storage.setItem("other", JSON.stringify(EARLY));
  expect(store.load()).toEqual([LATE]);
});
