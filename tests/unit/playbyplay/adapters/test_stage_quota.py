"""The quota on AWS: the stage's own."""

from playbyplay.adapters.stage_quota import StageQuota


async def test_what_came_through_the_stage_is_served() -> None:
    """However much it is."""
    quota = StageQuota()
    assert {await quota.wait_s("ann", "c=", kind) for kind in ("agent_message", "ping") for _ in range(1000)} == {0.0}
