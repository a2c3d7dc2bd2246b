"""What the local cloud does with alarms: plain ones watch, those on metric math stand there, a composite one asks."""

from types import SimpleNamespace
from typing import Any

import pytest

from infra.local_cloud_gateway import composite, without_math

MATH = {"AlarmName": "rate", "Threshold": 5, "Metrics": [{"Id": "rate", "Expression": "one / two"}]}
PLAIN = {"AlarmName": "absent", "MetricName": "RunsWithoutTerminal", "Namespace": "Playbyplay"}
STANDS_THERE = {"AlarmName": "rate", "Threshold": 5, "Namespace": "MetricMath", "MetricName": "IsNotWatchedHere"}
ANY = {"AlarmName": "any", "AlarmRule": "ALARM(absent) OR ALARM(rate)"}


def _real(*given: object, **more: object) -> tuple[str, dict[str, Any]]:
    """Say what a handler of MiniStack's was given."""
    return "made", {"given": given, **more}


@pytest.mark.parametrize("before", [(), (PLAIN,)], ids=["created", "was plain"])
def test_a_plain_alarm_is_made(before: tuple[dict[str, Any], ...]) -> None:
    """MiniStack's own handler has what it would have had."""
    made = without_math(_real)("Absent", *before, PLAIN, "Stack", logical_id="Absent")
    assert made == ("made", {"given": ("Absent", *before, PLAIN, "Stack"), "logical_id": "Absent"})


@pytest.mark.parametrize(
    ("before", "seen"), [((), ()), ((PLAIN,), (PLAIN,)), ((MATH,), (STANDS_THERE,))], ids=["created", "plain", "math"]
)
def test_one_on_math_stands_there(before: tuple[dict[str, Any], ...], seen: tuple[dict[str, Any], ...]) -> None:
    """It is as it was made but for what it watches: a metric that never has a value, and says so."""
    made = without_math(_real)("Rate", *before, MATH, "Stack")
    assert made == ("made", {"given": ("Rate", *seen, STANDS_THERE, "Stack")})


class Watch(SimpleNamespace):
    """MiniStack's CloudWatch, which refuses a rule that is no rule."""

    def __init__(self) -> None:
        super().__init__(_composite_alarms={})

    def _put_composite_alarm(
        self, _params: dict[str, str], told: dict[str, str], *, is_cbor: bool, is_json: bool
    ) -> tuple[int, dict[str, str], bytes]:
        assert (is_cbor, is_json) == (False, True)
        if "ALARM" not in told["AlarmRule"]:
            return 400, {}, b"no rule"
        self._composite_alarms[told["AlarmName"]] = {**told, "AlarmArn": f"arn:{told['AlarmName']}"}
        return 200, {}, b"{}"


@pytest.mark.parametrize(("step", "before"), [("create", ()), ("update", ({"AlarmName": "any", "AlarmRule": ""},))])
def test_a_composite_alarm_is_made_by_the_service(step: str, before: tuple[dict[str, str], ...]) -> None:
    """As it is to be, not as it was; it goes with the stack."""
    watch = Watch()
    steps = composite(watch)
    assert steps[step]("Any", *before, ANY, "Stack") == ("any", {"Arn": "arn:any"})
    assert watch._composite_alarms["any"]["AlarmRule"] == ANY["AlarmRule"]
    steps["delete"]("any", ANY)
    steps["delete"]("any", ANY)
    assert watch._composite_alarms == {}


def test_a_composite_alarm_that_is_refused_fails_the_deployment() -> None:
    """With what the service said."""
    with pytest.raises(ValueError, match="no rule"):
        composite(Watch())["create"]("Any", {"AlarmName": "any", "AlarmRule": "?"}, "Stack")
