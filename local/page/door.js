// How this page reaches its server: what /config.json says, the socket's address, and a ticket for each
// connection. Where people sign in, a ticket is asked for with the access token.

const AGAIN_MS = 2000;
const ANSWER_MS = 10_000;

/** Reads the settings; does not give up. `failed()` is called with each failure. */
export async function readConfig(failed) {
  for (;;) {
    try {
      const reply = await fetch("/config.json", { signal: AbortSignal.timeout(ANSWER_MS) });
      if (reply.ok) return await reply.json();
    } catch {
      // Asked again, as for any other failure.
    }
    failed();
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

export class Door {
  #ticket;
  #signIn;

  /** `config`: `socket`, a path here or an address elsewhere, and `ticket`. `signIn`: null where nobody signs in. */
  constructor({ socket = "/ws", ticket = "/ticket" }, signIn = null) {
    this.socket = new URL(socket, location.href);
    this.socket.protocol = { "https:": "wss:", "http:": "ws:" }[this.socket.protocol] ?? this.socket.protocol;
    this.#ticket = ticket;
    this.#signIn = signIn;
  }

  /** Returns a fresh ticket; throws SignedOut where the person has to sign in first. */
  async ticket() {
    let reply = await this.#ask();
    if (reply.status === 401 && this.#signIn !== null) {
      await this.#signIn.renew(); // the server may call a token old that this clock calls good
      reply = await this.#ask();
      if (reply.status === 401) this.#signIn.end();
    }
    if (!reply.ok) throw new Error(`ticket: ${reply.status}`);
    return (await reply.json()).ticket;
  }

  async #ask() {
    // The access token, not the id token: it is the one made for an API. API Gateway's JWT authorizer takes
    // Cognito's by its client_id, as it carries no aud.
    const headers = this.#signIn === null ? {} : { Authorization: `Bearer ${await this.#signIn.token()}` };
    return fetch(this.#ticket, { method: "POST", headers, signal: AbortSignal.timeout(ANSWER_MS) });
  }
}
