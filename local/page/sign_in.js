// Signs a person in with an OAuth 2.0 provider: authorization code with PKCE, for a client without a
// secret (RFC 6749, 7636, 9700). On one machine nobody signs in and nothing of this is used.
//
// The access token lives in memory. What a reload needs, the refresh token and the user's id, is in
// sessionStorage: it ends with the tab and no other tab reads it. localStorage would outlive both, and
// hand the token to whoever opens this browser next.

const SESSION = "playbyplay.session";
const PENDING = "playbyplay.sign_in";
const EARLY_MS = 60_000; // so long before its end an access token is renewed
const ANSWER_MS = 10_000;
const MAX_REASON = 200;
const ENDED = "Your sign-in has ended. Sign in again to go on; what you wrote is kept.";

/** Nobody is signed in any more; the message is a sentence for the sign-in screen. */
export class SignedOut extends Error {}

/** The provider answered with an error of its own (RFC 6749, 5.2), which the same request will meet again. */
class Refused extends Error {}

export class SignIn {
  #settings;
  #access = null; // { token, renewAt }
  #kept; // { user, refresh_token }
  #signedOutElsewhere = new BroadcastChannel("playbyplay.sign_out");

  /** `settings`: `authorize_url`, `token_url`, `client_id`, `scope`, and `logout_url` where there is one. */
  constructor(settings) {
    this.#settings = settings;
    this.#kept = read(SESSION) ?? {};
    this.#signedOutElsewhere.onmessage = ({ data: user }) => user === this.user && this.#leave(here());
    // A page the browser put aside whole, chat and tokens, must not come back after a sign-out.
    window.addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
  }

  /** Who is signed in, or null. */
  get user() {
    return this.#kept.user ?? null;
  }

  /** Takes the provider's answer from the URL, if there is one; returns a sentence where it is of no use, else "". */
  async arrive() {
    const answer = new URLSearchParams(location.search);
    if (!answer.has("state") && !answer.has("code") && !answer.has("error")) return "";
    history.replaceState(null, "", here()); // a code is good once; it is not left to the history
    const pending = read(PENDING);
    if (!pending || answer.get("state") !== pending.state) {
      return "This answer belongs to no sign-in that was begun in this window, so it was not used.";
    }
    this.#forget(); // a state is good once, and nothing of an earlier sign-in goes into this one
    if (answer.has("error")) return refusal(answer.get("error"), answer.get("error_description"));
    return this.#exchange(answer.get("code") ?? "", pending.verifier);
  }

  /** Leaves for the provider's own page. */
  async begin() {
    const [state, verifier] = [random(), random()];
    const address = new URL(this.#settings.authorize_url);
    const wanted = {
      response_type: "code",
      client_id: this.#settings.client_id,
      redirect_uri: here(),
      scope: this.#settings.scope,
      state,
      code_challenge: await challengeOf(verifier),
      code_challenge_method: "S256",
    };
    for (const [name, value] of Object.entries(wanted)) address.searchParams.set(name, value);
    sessionStorage.setItem(PENDING, JSON.stringify({ state, verifier }));
    location.assign(address);
  }

  /** Returns an access token that is good for a while; throws SignedOut where there is none to be had. */
  async token() {
    if (this.#access === null || Date.now() >= this.#access.renewAt) await this.renew();
    return this.#access.token;
  }

  /** Gets another access token; throws SignedOut where the provider refuses, else what fetch throws. */
  async renew() {
    const kept = this.#kept;
    if (!kept.refresh_token) this.end();
    let tokens;
    try {
      tokens = await this.#ask({ grant_type: "refresh_token", refresh_token: kept.refresh_token });
    } catch (error) {
      if (error instanceof Refused) this.end();
      throw error;
    }
    if (this.#kept !== kept) this.end(); // signed out meanwhile: nothing may come back
    this.#keep(tokens, kept.user);
  }

  /** Forgets the tokens and says so by SignedOut. */
  end() {
    this.#forget();
    throw new SignedOut(ENDED);
  }

  /** Signs out: of this page in all its windows, and of the provider where it has an address for that. */
  signOut() {
    this.#signedOutElsewhere.postMessage(this.user);
    const { logout_url: logout, client_id: client } = this.#settings;
    if (!logout) return this.#leave(here());
    const address = new URL(logout);
    address.searchParams.set("client_id", client);
    address.searchParams.set("logout_uri", here());
    this.#leave(address);
  }

  #leave(address) {
    this.#forget();
    location.replace(address);
  }

  #forget() {
    this.#access = null;
    this.#kept = {};
    sessionStorage.removeItem(SESSION);
    sessionStorage.removeItem(PENDING);
  }

  async #exchange(code, verifier) {
    try {
      const wanted = { grant_type: "authorization_code", code, redirect_uri: here(), code_verifier: verifier };
      const tokens = await this.#ask(wanted);
      const user = subjectOf(tokens.id_token);
      if (user === null) return "The sign-in service did not say who you are; the scope needs openid.";
      this.#keep(tokens, user);
      return "";
    } catch (error) {
      return error instanceof Refused ? error.message : "The sign-in service could not be reached. Please try again.";
    }
  }

  /** Asks the token endpoint; a form, so that the browser need not ask for leave first. */
  async #ask(wanted) {
    const reply = await fetch(this.#settings.token_url, {
      method: "POST",
      body: new URLSearchParams({ client_id: this.#settings.client_id, ...wanted }),
      credentials: "omit",
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    if ([400, 401, 403].includes(reply.status)) {
      const { error = reply.status, error_description: description } = await reply.json().catch(() => ({}));
      throw new Refused(refusal(error, description));
    }
    if (!reply.ok) throw new Error(`token: ${reply.status}`);
    const tokens = await reply.json();
    if (typeof tokens.access_token !== "string") throw new Error("token: none");
    return tokens;
  }

  #keep(tokens, user) {
    const lifeMs = (tokens.expires_in > 0 ? tokens.expires_in : Infinity) * 1000; // where it is not said, a 401 tells
    this.#access = { token: tokens.access_token, renewAt: Date.now() + lifeMs - Math.min(EARLY_MS, lifeMs / 2) };
    // A renewal may bring a new refresh token; the old one is then used up (RFC 9700, 4.14.2).
    this.#kept = { user, refresh_token: tokens.refresh_token ?? this.#kept.refresh_token };
    sessionStorage.setItem(SESSION, JSON.stringify(this.#kept));
  }
}

/** This page's address, which the provider must know letter by letter. */
const here = () => new URL("/", location.href).href;

const base64url = (bytes) =>
  btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

/** RFC 7636, 4.2. */
async function challengeOf(verifier) {
  return base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
}

/**
 * The subject an id token names, or null. Its signature is not checked: the token came over TLS from the provider
 * itself (OpenID Connect Core, 3.1.3.7), and it decides only under which name this browser keeps what is unsent.
 */
function subjectOf(idToken) {
  try {
    const text = atob(idToken.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
    const { sub } = JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (one) => one.charCodeAt(0))));
    return typeof sub === "string" && sub !== "" ? sub : null;
  } catch {
    return null;
  }
}

/** An error of the provider in words; error and description are foreign text. */
function refusal(error, description) {
  const said = error === "access_denied" ? "The sign-in was refused" : `The sign-in did not succeed (${error})`;
  return (description ? `${said}: ${description}` : `${said}.`).slice(0, MAX_REASON);
}

function read(key) {
  try {
    const value = JSON.parse(sessionStorage.getItem(key));
    return value !== null && typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}
