"""The quota on AWS: what one container has seen."""

import pytest

from local.settings import LocalSettings
from playbyplay.adapters.container_quota import MAX_REMEMBERED, PER_MINUTE, ContainerQuota
from tests.fakes.clock import FakeClock


async def spent(quota: ContainerQuota, connection_id: str, kind: str) -> list[float]:
    """Ask as often as a minute allows."""
    return [await quota.wait_s("ann", connection_id, kind) for _ in range(PER_MINUTE[kind])]


def test_the_limits_are_those_of_one_machine() -> None:
    """A client meets the same ones in both homes."""
    usual = LocalSettings()
    others = usual.others_per_minute
    assert {"resume": usual.resumes_per_minute, "ping": others, "cancel": others, "answer": others} == PER_MINUTE


@pytest.mark.parametrize("kind", sorted(PER_MINUTE))
async def test_a_connection_has_so_many_a_minute(kind: str) -> None:
    """Then it is told how long to wait, and after that it may go on."""
    clock = FakeClock()
    quota = ContainerQuota(clock)
    assert set(await spent(quota, "c=", kind)) == {0.0}
    clock.advance(20)
    assert await quota.wait_s("ann", "c=", kind) == pytest.approx(40)
    clock.advance(39.9)
    assert await quota.wait_s("ann", "c=", kind) == pytest.approx(0.1)
    clock.advance(0.2)
    assert await quota.wait_s("ann", "c=", kind) == 0


async def test_each_connection_and_each_command_has_its_own() -> None:
    """One tab, or one kind of question, does not silence the others."""
    quota = ContainerQuota(FakeClock())
    await spent(quota, "c=", "resume")
    assert await quota.wait_s("ann", "c=", "resume") > 0
    assert await quota.wait_s("ann", "c=", "ping") == 0
    assert await quota.wait_s("ann", "d=", "resume") == 0


async def test_messages_are_not_counted() -> None:
    """The run store counts them, by their user."""
    quota = ContainerQuota(FakeClock())
    assert {await quota.wait_s("ann", "c=", "agent_message") for _ in range(10_000)} == {0.0}


async def test_no_more_connections_are_remembered_than_fit() -> None:
    """What was not asked for longest is forgotten first."""
    quota = ContainerQuota(FakeClock())
    for name in ("old=", "busy="):
        await spent(quota, name, "resume")
    for number in range(MAX_REMEMBERED - 1):
        await quota.wait_s("ann", f"{number}=", "ping")
    assert await quota.wait_s("ann", "busy=", "resume") > 0
    assert await quota.wait_s("ann", "old=", "resume") == 0
