// A list that several follow.
import { expect, test } from "vitest";
import { Feed } from "../src/feed.js";

async function all<T>(feed: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of feed) items.push(item);
  return items;
}

test("every reader gets every item, also one that comes late", async () => {
  const feed = new Feed<number>();
  const early = all(feed);
  feed.append(1);
  await Promise.resolve();
  feed.append(2);
  feed.close();
  feed.append(3);
  expect(await early).toEqual([1, 2]);
  expect(await all(feed)).toEqual([1, 2]);
});

test("an error comes after the last item, and the first end counts", async () => {
  const feed = new Feed<number>();
  feed.append(1);
  feed.close(new Error("over"));
  feed.close();
  const seen: number[] = [];
  const reading = (async () => {
    for await (const item of feed) seen.push(item);
  })();
  await expect(reading).rejects.toThrow("over");
  expect(seen).toEqual([1]);
});

test("a reader may leave early", async () => {
  const feed = new Feed<number>();
  feed.append(1);
  for await (const item of feed) {
    expect(item).toBe(1);
    break;
  }
});
