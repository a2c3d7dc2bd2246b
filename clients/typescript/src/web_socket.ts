// The socket port, and the platform's own WebSocket behind it.

/** What is told of a socket; after `close` nothing is. */
export interface SocketListener {
  /** `protocol` is the subprotocol the server chose. */
  opened(protocol: string): void;
  text(text: string): void;
  /** It ended, or could not be opened. */
  closed(): void;
}

export interface Socket {
  send(text: string): void;
  close(): void;
}

export type OpenSocket = (url: string, protocols: readonly string[], listener: SocketListener) => Socket;

/** Opens a socket of the platform: browsers, and Node from 22 on. */
export const openWebSocket: OpenSocket = (url, protocols, listener) => {
  const socket = new WebSocket(url, [...protocols]);
  socket.onopen = () => listener.opened(socket.protocol);
  socket.onmessage = ({ data }: MessageEvent<unknown>) => {
    if (typeof data === "string") listener.text(data);
  };
  socket.onclose = () => listener.closed();
  return {
    send: (text) => socket.send(text),
    close: () => {
      // Detached at once: the closing handshake of a dead line takes minutes.
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    },
  };
};
