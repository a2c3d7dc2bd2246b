"""Secrets of AWS Secrets Manager, remembered for a while so that a job does not wait for one."""

from playbyplay.adapters.aws import Aws
from playbyplay.errors import StoreUnavailable
from playbyplay.ports import Clock
from playbyplay.settings import BadSetting

_REMEMBERED_MS = 5 * 60_000  # how long a replaced secret may still be used


class Secrets:
    """Reads secrets.

    Args:
        aws: the door.
        clock: tells when to read again.
    """

    def __init__(self, aws: Aws, clock: Clock) -> None:
        self._aws = aws
        self._clock = clock
        self._read: dict[str, tuple[int, str]] = {}  # when, and the text

    async def text(self, secret_id: str) -> str:
        """Return a secret's text, at most five minutes old; older while it cannot be read again.

        Raises:
            BadSetting: the secret holds no text; the message names the secret.
            StoreRefused: no secret can be called that.
            StoreUnavailable: it could not be read, now or before.
        """
        now_ms = self._clock.now_ms()
        read_ms, remembered = self._read.get(secret_id, (0, None))
        if remembered is not None and now_ms - read_ms < _REMEMBERED_MS:
            return remembered
        try:
            answer = await self._aws.read("secretsmanager", "get_secret_value", {"SecretId": secret_id})
        except StoreUnavailable:  # the door has told of it
            if remembered is None:
                raise
            return remembered
        text = str(answer.get("SecretString", ""))
        if not text.strip():
            raise BadSetting(f"The secret {secret_id} holds no text.")
        self._read[secret_id] = (now_ms, text)
        return text
