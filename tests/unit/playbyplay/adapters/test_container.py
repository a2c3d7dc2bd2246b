"""A container: what is kept from one event to the next."""

import asyncio
import functools
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from playbyplay.adapters.container import Answer, Container, Event, Serve
from playbyplay.ports import Log
from playbyplay.settings import BadSetting, ConnectSettings


class Function:
    """A function that tells where it ran; it fails where it is told to."""

    def __init__(self) -> None:
        self.built: list[ConnectSettings] = []
        self.loops: list[asyncio.AbstractEventLoop] = []

    def build(self, settings: ConnectSettings, *, log: Log) -> Serve:
        """Compose it."""
        self.built.append(settings)

        async def serve(event: Event) -> Answer:
            self.loops.append(asyncio.get_running_loop())
            log.event("watchdog_swept", astray=event["astray"])
            if "error" in event:
                raise event["error"]
            return {"twice": event["astray"] * 2}

        return serve


@pytest.fixture
def function() -> Function:
    return Function()


@pytest.fixture
def container(function: Function, monkeypatch: pytest.MonkeyPatch) -> Iterator[Container]:
    monkeypatch.setenv("PLAYBYPLAY_CONNECTIONS_TABLE", "connections")
    container = Container("testing", ConnectSettings, function.build)
    yield container
    container.close()


def metrics(capsys: pytest.CaptureFixture[str]) -> list[Any]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line["RunsAstray"] for line in lines if "_aws" in line]


def test_it_is_built_once_and_serves_on_one_loop(function: Function, container: Container) -> None:
    """From the environment; a client that belongs to the loop is still good for the next event."""
    assert [container.answer({"astray": number}) for number in range(3)] == [{"twice": 0}, {"twice": 2}, {"twice": 4}]
    assert function.built == [ConnectSettings(connections_table="connections")]
    assert len(set(map(id, function.loops))) == 1


def test_what_was_counted_is_written_before_the_answer(
    container: Container, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lambda may freeze the process right after it; so too when the event failed."""
    container.answer({"astray": 3})
    assert metrics(capsys) == [[3.0]]
    with pytest.raises(ZeroDivisionError):
        container.answer({"astray": 4, "error": ZeroDivisionError()})
    assert metrics(capsys) == [[4.0]]


class Told:
    """A function that tells by when it must be done."""

    def __init__(self) -> None:
        self.ends_s: list[float | None] = []

    def build(self, settings: ConnectSettings, *, log: Log) -> "Told":
        """Compose it."""
        return self

    def until(self, ends_s: float) -> Serve:
        """Return what serves until then."""
        return functools.partial(self, ends_s=ends_s)

    async def __call__(self, _event: Event, *, ends_s: float | None = None) -> Answer:
        self.ends_s.append(ends_s)
        return {}


class Call:
    """What Lambda tells of a call with 90 seconds left."""

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds left."""
        return 90_000


def test_a_function_that_wants_to_know_is_told_by_when_it_must_be_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the monotonic clock, anew for each event; without a context, or with one that does not tell, of no limit."""
    monkeypatch.setenv("PLAYBYPLAY_CONNECTIONS_TABLE", "connections")
    told = Told()
    container = Container("testing", ConnectSettings, told.build)
    from_s = time.monotonic()
    for context in (Call(), Call(), None, object()):
        assert container.answer({}, context) == {}
    to_s = time.monotonic()
    container.close()
    first, second, *others = told.ends_s
    assert first is not None
    assert second is not None
    assert from_s + 90 <= first < second <= to_s + 90
    assert others == [None, None]


def test_a_function_that_does_not_want_to_know_is_not_told(container: Container) -> None:
    """It is called with the event alone."""
    assert container.answer({"astray": 1}, Call()) == {"twice": 2}


def test_a_missing_variable_is_named(function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is built."""
    monkeypatch.delenv("PLAYBYPLAY_CONNECTIONS_TABLE", raising=False)
    with pytest.raises(BadSetting, match="PLAYBYPLAY_CONNECTIONS_TABLE"):
        Container("testing", ConnectSettings, function.build)
    assert function.built == []
