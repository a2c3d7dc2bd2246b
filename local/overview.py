"""What the ops page shows at a glance: what was counted in the last minutes, and what is missing now."""

from dataclasses import asdict
from typing import Any, Final

from local.absences import METRIC, told
from local.auditor import Auditor
from local.faults_seen import FaultsSeen
from local.metrics_keeper import MetricsKeeper
from local.metrics_store import BUCKET_MS, Point, Window
from local.sketch import percentile
from local.sqlite_recent_runs import RecentRuns
from playbyplay.observability import METRICS, Metric
from playbyplay.ports import Clock

MAX_POINTS: Final = 180
_BY_NAME: Final = {metric.name: metric for metric in METRICS}
_CATALOGUE: Final = {
    metric.name: {"group": metric.group, "unit": metric.unit, "meaning": metric.meaning, "gauge": metric.gauge}
    for metric in METRICS
}
Answer = dict[str, Any]


class Overview:
    """Puts it together.

    Args:
        metrics: what was counted.
        auditor: what is missing.
        runs: how many there are.
        faults: what somebody let happen.
        clock: until when.
    """

    def __init__(
        self,
        *,
        metrics: MetricsKeeper,
        auditor: Auditor,
        runs: RecentRuns,
        faults: FaultsSeen,
        clock: Clock,
    ) -> None:
        self._metrics = metrics
        self._auditor = auditor
        self._runs = runs
        self._faults = faults
        self._clock = clock

    async def __call__(self, minutes: int) -> Answer:
        """Return what happened in the last minutes.

        Raises:
            StoreUnavailable: it cannot be read how much there is.
        """
        now_ms = self._clock.now_ms()
        width_ms = bucket_ms(minutes)
        points = min(MAX_POINTS, -(-minutes * 60_000 // width_ms))
        to_ms = now_ms - now_ms % width_ms + width_ms
        from_ms = to_ms - points * width_ms
        open_runs, connections = self._runs.how_many()
        window = await self._metrics.window(from_ms=from_ms, to_ms=to_ms, width_ms=width_ms)
        return {
            "now": now_ms,
            "from": from_ms,
            "bucket_s": width_ms // 1000,
            **_counted(window),
            "open_runs": open_runs,
            "connections": connections,
            **missing(self._auditor),
            "faults": [asdict(fault) for fault in self._faults.last],
            "fault_kinds": self._faults.kinds,
            "catalogue": _CATALOGUE,
        }


def missing(auditor: Auditor) -> Answer:
    """Return what the last sweep of the auditor missed."""
    last = auditor.last
    counts = last.swept.missing if last is not None else {}
    return {
        "absence": {name: counts.get(absence, 0) for absence, name in METRIC.items()},
        "findings": told(last.swept.found) if last is not None else [],
        "audited_ms": last.at_ms if last is not None else None,
    }


def bucket_ms(minutes: int) -> int:
    """Return how wide a bucket is so that there are few enough of them; stored ones fit in without a rest."""
    stored = minutes * 60_000 // BUCKET_MS
    return -(-stored // MAX_POINTS) * BUCKET_MS


def _counted(window: Window) -> Answer:
    series, totals = {}, {}
    for name, points in window.points.items():
        metric = _BY_NAME.get(name.partition(".")[0])
        if metric is not None:  # an earlier version counted it
            series[name] = _series(metric, points)
            totals[name] = window.last[name] if metric.gauge else sum(point.total for point in points)
    return {"series": series, "totals": totals}


def _series(metric: Metric, points: list[Point]) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {"t": [point.at_ms for point in points]}
    if metric.unit == "Milliseconds":
        # Nothing took longer than the longest of them, whatever the sketch makes of it.
        shares = {"p50": 0.5, "p99": 0.99}
        told = {
            name: [min(point.high, percentile(point.slots, share)) for point in points]
            for name, share in shares.items()
        }
        return {**times, **told, "n": [point.count for point in points]}
    return {**times, "v": [point.high if metric.gauge else point.total for point in points]}
