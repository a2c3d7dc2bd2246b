// The built package under Node against a real server: `node test/real_server.mjs URL`; tells what it saw as JSON.
// Who runs it judges that (tests/clients in the repository).
import { addresses, MemoryStore, openWebSocket, PlaybyplayClient, ticketFrom } from "@playbyplay/client";

const url = process.argv[2];
const QUESTION = "Count the sheep.";
const pace = { firstWaitMs: 50, lastWaitMs: 200, tickMs: 20 };
const ticket = ticketFrom(addresses(url).ticket, { user: "ada" });

/** A network that doubles every frame of the server and can be cut, of which the client is told nothing better. */
class Network {
  connections = 0;
  #cut = () => undefined;

  openSocket = (address, protocols, listener) => {
    this.connections += 1;
    const twice = (text) => {
      listener.text(text);
      listener.text(text);
    };
    const socket = openWebSocket(address, protocols, {
      opened: (protocol) => listener.opened(protocol),
      text: twice,
      closed: () => listener.closed(),
    });
    this.#cut = () => {
      socket.close();
      listener.closed();
    };
    return socket;
  };

  cut() {
    this.#cut();
  }
}

/** A message whose connection is cut when its tool is at work. */
async function cutInTheMiddle() {
  const network = new Network();
  const client = new PlaybyplayClient({ url, ticket, pace, surroundings: { openSocket: network.openSocket } });
  const happened = [];
  client.on("event", ({ event }) => happened.push([event.seq, event.type]));
  const end = client.on("event", ({ event }) => {
    if (event.type !== "tool_executing") return;
    network.cut();
    end();
  });
  await client.connect();
  const run = await client.send(QUESTION).run;
  const read = [];
  for await (const event of run) read.push([event.seq, event.type, event.replay === true]);
  const answer = await run.answer();
  client.close();
  return { happened, read, answer, connections: network.connections, runId: run.runId, threadId: run.threadId };
}

/** A message that is sent, cut off at once, and found again by the page after a reload, which has the store alone. */
async function reloaded(threadId) {
  const store = new MemoryStore();
  const before = new Network();
  const page = new PlaybyplayClient({ url, ticket, pace, store, surroundings: { openSocket: before.openSocket } });
  await page.connect();
  const message = page.send(QUESTION, { threadId });
  await Promise.resolve();
  page.close();
  const left = store.load().map((one) => one.client_message_id);
  const next = new PlaybyplayClient({ url, ticket, pace, store });
  const ended = new Promise((resolve) => {
    next.on("accepted", ({ run }) => resolve(run.result().then((event) => ({ event, run }))));
  });
  await next.connect();
  const { event, run } = await ended;
  const seqs = run.events.map((one) => one.seq);
  next.close();
  const isSame = left.length === 1 && left[0] === message.clientMessageId;
  return { isSame, left: store.load().length, last: event.type, seqs, turn: run.turn };
}

/** A page that knows the thread and nothing else. */
async function replayed(threadId) {
  const client = new PlaybyplayClient({ url, ticket, pace });
  const seen = [];
  client.on("input", ({ input }) => seen.push([input.turn, 0]));
  client.on("event", ({ event }) => seen.push([event.turn, event.seq]));
  await client.connect();
  const through = await client.resumeThread(threadId);
  client.close();
  return { through, seen };
}

const cut = await cutInTheMiddle();
const reload = await reloaded(cut.threadId);
const replay = await replayed(cut.threadId);
console.log(JSON.stringify({ cut, reload, replay }));
