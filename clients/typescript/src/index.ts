// What the package offers.
export { PlaybyplayClient } from "./client.js";
export type { ConnectionState } from "./connection.js";
export * from "./errors.js";
export type { Happening, HappeningOf, Listener } from "./happenings.js";
export type { ClientOptions, SendOptions } from "./options.js";
export type { Outgoing, Refusal } from "./outbox.js";
export { PACE, type Pace } from "./pace.js";
export type * from "./protocol.js";
export { Reassembly } from "./reassembly.js";
export type { Run } from "./run.js";
export { type Action, type Delivery, isTerminal } from "./run_reassembly.js";
export { MemoryStore, type MessageStore, type StoredMessage, type WebStorage, WebStore } from "./store.js";
export type { Surroundings } from "./surroundings.js";
export { addresses, ticketFrom, type TicketOptions, type TicketSource } from "./ticket.js";
export { openWebSocket, type OpenSocket, type Socket, type SocketListener } from "./web_socket.js";
