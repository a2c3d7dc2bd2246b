// Where tickets come from.
import { expect, test } from "vitest";
import { CannotConnect, SignedOut } from "../src/errors.js";
import { addresses, ticketFrom } from "../src/ticket.js";

const SIGNAL = new AbortController().signal;

interface Asked {
  readonly url: string;
  readonly init: RequestInit;
}

function server(...replies: readonly Response[]): { readonly asked: Asked[]; readonly fetch: typeof fetch } {
  const asked: Asked[] = [];
  const left = [...replies];
  const answer: typeof fetch = (url, init = {}) => {
    asked.push({ url: String(url), init });
    return Promise.resolve(left.shift() ?? Response.error());
  };
  return { asked, fetch: answer };
}

const given = (): Response => Response.json({ ticket: "abc", expires_in: 30 });

test.each([
  ["https://chat.example.org", "wss://chat.example.org/ws", "https://chat.example.org/ticket"],
  ["http://127.0.0.1:8787/", "ws://127.0.0.1:8787/ws", "http://127.0.0.1:8787/ticket"],
  ["ws://127.0.0.1:8787/ws", "ws://127.0.0.1:8787/ws", "http://127.0.0.1:8787/ticket"],
  ["wss://gate.example.org/live?a=1#x", "wss://gate.example.org/live?a=1", "https://gate.example.org/ticket"],
  ["https://example.org/chat/", "wss://example.org/chat/ws", "https://example.org/chat/ticket"],
])("%s has its socket and its tickets there", (url, socket, ticket) => {
  expect(addresses(url)).toEqual({ socket, ticket });
});

test("what is not the URL of a server is refused", () => {
  expect(() => addresses("ftp://example.org")).toThrow(CannotConnect);
  expect(() => addresses("chat")).toThrow();
});

test("a ticket is posted for, and nothing follows a redirect", async () => {
  const { asked, fetch } = server(given());
  expect(await ticketFrom("https://chat.example.org/ticket", { fetch })(SIGNAL)).toBe("abc");
  expect(asked[0]).toMatchObject({ init: { method: "POST", redirect: "error", body: null } });
  expect(new Headers(asked[0]?.init.headers).has("authorization")).toBe(false);
});

test("a token goes with it, and is renewed once where it was refused", async () => {
  const { asked, fetch } = server(new Response(null, { status: 401 }), given());
  const token = (renew: boolean): string => (renew ? "new" : "old");
  expect(await ticketFrom("https://chat.example.org/ticket", { fetch, token })(SIGNAL)).toBe("abc");
  const sent = asked.map(({ init }) => new Headers(init.headers).get("authorization"));
  expect(sent).toEqual(["Bearer old", "Bearer new"]);
});

test("who is refused twice is signed out", async () => {
  const refused = (): Response => new Response(null, { status: 401 });
  const { fetch } = server(refused(), refused());
  await expect(ticketFrom("https://a.b/ticket", { fetch, token: () => "old" })(SIGNAL)).rejects.toThrow(SignedOut);
});

test("another user can be named where the server lets them", async () => {
  const { asked, fetch } = server(given());
  await ticketFrom("http://127.0.0.1:8787/ticket", { fetch, user: "ada" })(SIGNAL);
  expect(asked[0]?.init.body).toBe('{"user":"ada"}');
});

test.each([
  ["a failure", new Response("down", { status: 503 })],
  ["another answer", Response.json({ message: "hello" })],
])("%s is no ticket", async (_name, reply) => {
  const { fetch } = server(reply);
  await expect(ticketFrom("https://a.b/ticket", { fetch })(SIGNAL)).rejects.toThrow(CannotConnect);
});
