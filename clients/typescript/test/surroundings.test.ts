// What wakes a client in a page, and the platform's socket behind the port.
import { expect, test, vi } from "vitest";
import { SURROUNDINGS } from "../src/surroundings.js";
import { openWebSocket } from "../src/web_socket.js";

test("the network that is back and the page that is seen wake it, a page that is hidden does not", () => {
  const page = Object.assign(new EventTarget(), { visibilityState: "hidden" });
  const network = new EventTarget();
  vi.stubGlobal("document", page);
  vi.stubGlobal("addEventListener", network.addEventListener.bind(network));
  vi.stubGlobal("removeEventListener", network.removeEventListener.bind(network));
  const wake = vi.fn();
  const end = SURROUNDINGS.onWake(wake);
  page.dispatchEvent(new Event("visibilitychange"));
  expect(wake).toHaveBeenCalledTimes(0);
  page.visibilityState = "visible";
  page.dispatchEvent(new Event("visibilitychange"));
  network.dispatchEvent(new Event("online"));
  expect(wake).toHaveBeenCalledTimes(2);
  end();
  page.dispatchEvent(new Event("visibilitychange"));
  network.dispatchEvent(new Event("online"));
  expect(wake).toHaveBeenCalledTimes(2);
});

test("where there is no page nothing wakes it", () => {
  vi.stubGlobal("addEventListener", undefined);
  expect(() => SURROUNDINGS.onWake(() => undefined)()).not.toThrow();
});

test("the platform's socket tells what happens, and nothing after it is closed", () => {
  const made: FakeWebSocket[] = [];
  class FakeWebSocket {
    onopen: (() => void) | null = null;
    onmessage: ((message: { data: unknown }) => void) | null = null;
    onclose: (() => void) | null = null;
    readonly protocol = "playbyplay.v1";
    readonly sent: string[] = [];
    isClosed = false;
    readonly url: string;
    readonly protocols: string[];

    constructor(url: string, protocols: string[]) {
      this.url = url;
      this.protocols = protocols;
      made.push(this);
    }

    send(text: string): void {
      this.sent.push(text);
    }

    close(): void {
      this.isClosed = true;
    }
  }
  vi.stubGlobal("WebSocket", FakeWebSocket);
  const heard: string[] = [];
  const socket = openWebSocket("ws://a/ws", ["playbyplay.v1"], {
    opened: (protocol) => heard.push(`opened ${protocol}`),
    text: (text) => heard.push(text),
    closed: () => heard.push("closed"),
  });
  const [platform] = made;
  platform?.onopen?.();
  platform?.onmessage?.({ data: "hello" });
  platform?.onmessage?.({ data: new ArrayBuffer(1) });
  socket.send("hi");
  platform?.onclose?.();
  expect(heard).toEqual(["opened playbyplay.v1", "hello", "closed"]);
  expect([platform?.url, platform?.protocols, platform?.sent]).toEqual(["ws://a/ws", ["playbyplay.v1"], ["hi"]]);
  socket.close();
  expect(platform?.isClosed).toBe(true);
  expect([platform?.onopen, platform?.onmessage, platform?.onclose]).toEqual([null, null, null]);
});
