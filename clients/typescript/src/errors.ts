// What the client raises: every error a caller may have to tell from the others.
import type { MessageRejected, RunErrorEvent } from "./protocol.js";

/** The root of what the client raises. */
export class ClientError extends Error {
  override readonly name: string = "ClientError";
}

/** There is no connection to be had just now; one sentence says why. It is tried again. */
export class CannotConnect extends ClientError {
  override readonly name = "CannotConnect";
}

/** Nobody is signed in any more; nothing is tried again until `connect` is called. */
export class SignedOut extends ClientError {
  override readonly name = "SignedOut";
}

/** The client was closed. Runs go on at the server. */
export class Closed extends ClientError {
  override readonly name = "Closed";
}

/** The message could not be stored, so it was not sent. */
export class NotStored extends ClientError {
  override readonly name = "NotStored";
}

/** The message was taken back before an answer came. The server may have accepted it. */
export class Withdrawn extends ClientError {
  override readonly name = "Withdrawn";
}

/** A frame got no answer, however often it was sent; asking again is safe. */
export class Unanswered extends ClientError {
  override readonly name = "Unanswered";
}

/** The server refused a frame, which changed nothing. */
export class Rejected extends ClientError {
  override readonly name = "Rejected";
  readonly code: MessageRejected["code"];

  constructor(code: MessageRejected["code"], message: string) {
    super(message);
    this.code = code;
  }
}

/** The rest of a run's events cannot be had any more. */
export class RunLost extends ClientError {
  override readonly name = "RunLost";
  readonly code: MessageRejected["code"];

  constructor(code: MessageRejected["code"], message: string) {
    super(message);
    this.code = code;
  }
}

/** The run ended in `error`: there is no answer. */
export class RunFailed extends ClientError {
  override readonly name = "RunFailed";
  readonly code: RunErrorEvent["code"];

  constructor(code: RunErrorEvent["code"], message: string) {
    super(message);
    this.code = code;
  }
}
