"""Names that the stores and the stack share: keys, attributes and indexes of the three tables.

`docs/aws.md` shows the items; nothing here talks to AWS.
"""

from typing import Final

PK: Final = "pk"
SK: Final = "sk"
TTL: Final = "expires"  # seconds since the epoch; DynamoDB removes the item some time after

OPEN_BY_AGE: Final = "open_by_age"  # local index: a user's open runs, oldest first
OPEN_SINCE: Final = "open_since"
# Global index: every open run, by when it is to be looked at. DynamoDB changes no index in place: one that shows
# something else (CHECK_SHOWS) needs another name.
OPEN_BY_NEXT_CHECK: Final = "open_by_next_check"
OPEN_SHARD: Final = "open_shard"
NEXT_CHECK: Final = "next_check_ms"
WAITS: Final = "waits"  # at accept an earlier turn of its thread was open
STATUS: Final = "status"
CREATED: Final = "created_ms"
CHECK_SHOWS: Final = (STATUS, WAITS, CREATED)  # beside the keys; a renewal writes the index too: it is kept small
# Global index: every run that has ended and is still kept, by when its end was noted.
RUNS_BY_END: Final = "runs_by_end"
ENDED_SHARD: Final = "ended_shard"
ENDED: Final = "ended_ms"
ENDING_SESSIONS: Final = "ending_sessions"  # global index of connections, by when their session is over
SESSION_SHARD: Final = "session_shard"
SESSION_ENDS: Final = "session_expires_ms"
SHARDS: Final = 8  # of every global index: what everybody does is written to it

LEFT: Final = "LEFT"  # sort key of the one item that tells when a connection of a user left last
LEFT_AT: Final = "at_ms"

BACKLOG: Final = "BACKLOG"  # both keys of the one item that tells how far the runners are behind

RUNS_KEPT_S: Final = 37 * 86_400  # longer than the journal, so that an expired journal is noticed
JOURNAL_KEPT_S: Final = 30 * 86_400


def user_key(user: str) -> str:
    """Return the partition of what belongs to a user."""
    return f"U#{user}"


def user_of(pk: str) -> str:
    """Return whose a partition is."""
    return pk.removeprefix(user_key(""))


def thread_key(thread_id: str) -> str:
    """Return the sort key of a thread."""
    return f"THREAD#{thread_id}"


def turn_key(thread_id: str, turn: int) -> str:
    """Return the sort key of a turn; turns sort as numbers do."""
    return f"TURN#{thread_id}#{turn:010d}"


def run_key(run_id: str) -> str:
    """Return the sort key of a run."""
    return f"RUN#{run_id}"


def run_id_of(sk: str) -> str:
    """Return the run that a sort key names."""
    return sk.removeprefix(run_key(""))


def message_key(client_message_id: str) -> str:
    """Return the sort key of what a message made."""
    return f"MSG#{client_message_id}"


def rate_key(minute: int) -> str:
    """Return the sort key of how many messages of a user were accepted in a minute, counted from the epoch."""
    return f"RATE#{minute}"


def journal_key(user: str, run_id: str) -> str:
    """Return the partition of a run's journal; a run id is a UUID, so no user can name another's."""
    return f"U#{user}#RUN#{run_id}"


def blob_key(user: str, run_id: str, digest: str) -> str:
    """Return the partition of the side items of one large record."""
    return f"{journal_key(user, run_id)}#BLOB#{digest}"


def ticket_key(digest: str) -> str:
    """Return the partition of a ticket."""
    return f"TICKET#{digest}"


def connection_key(connection_id: str) -> str:
    """Return the partition of a connection."""
    return f"CONN#{connection_id}"


def subscriber_key(connection_id: str) -> str:
    """Return the sort key of a connection among its user's."""
    return f"SUB#{connection_id}"


def connection_id_of(sk: str) -> str:
    """Return the connection that a sort key among its user's names."""
    return sk.removeprefix(subscriber_key(""))
