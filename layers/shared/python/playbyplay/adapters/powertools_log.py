"""The log on AWS: each event a line of JSON, and the metrics of the catalogue as CloudWatch's embedded format.

Both go to standard output, which Lambda sends to CloudWatch. A function calls `flush` before it answers,
since what is pending when Lambda freezes it would come late or never.
"""

import contextlib
import json
import logging
import sys
import time
from collections.abc import Callable
from functools import partial

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics

from playbyplay.observability import COUNTED_ONLY, EVENT_NAMES, NAMESPACE, SERVICE, samples

_JSON = partial(json.dumps, separators=(",", ":"), default=str)
_FLUSH_S = 10.0  # a run may keep its function for a quarter of an hour: what it does is told meanwhile
_UNWRITABLE = (OSError, ValueError)  # a line that cannot be written must not cost a run


class _StandardOutput(logging.Handler):
    """Writes to whatever standard output is at the moment."""

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(*_UNWRITABLE):
            sys.stdout.write(self.format(record) + "\n")
            sys.stdout.flush()


class PowertoolsLog:
    """Implements `ports.Log`.

    Args:
        service: the function's name, on every line.
        monotonic: the time in seconds, from any start.
    """

    def __init__(self, service: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._flushed_s = monotonic()
        self._logger = Logger(
            service=service,
            logger_handler=_StandardOutput(),
            json_serializer=_JSON,
            log_uncaught_exceptions=False,
            utc=True,
            use_rfc3339=True,
            log_record_order=["timestamp", "level", "service", "event"],
            location=None,  # it would always be this module
        )
        self._pending: dict[tuple[tuple[str, str], ...], EphemeralMetrics] = {}  # by dimensions

    def event(self, name: str, **fields: str | float | bool | None) -> None:
        """Write one event of the catalogue, unless it is only counted, and count its metrics.

        Raises:
            ValueError: the name is not in the catalogue.
        """
        if name not in EVENT_NAMES:
            raise ValueError(f"{name} is not in the catalogue of log events")
        if name not in COUNTED_ONLY:
            self._logger.info(None, extra={"event": name, **fields})
        with contextlib.suppress(*_UNWRITABLE):  # the hundredth value of a metric writes it
            for sample in samples(name, fields):
                self._group(sample.dimensions).add_metric(sample.metric.name, sample.metric.unit, sample.value)
        if self._monotonic() - self._flushed_s > _FLUSH_S:
            self.flush()

    def flush(self) -> None:
        """Write the pending metrics, if there are any."""
        self._flushed_s = self._monotonic()
        pending, self._pending = self._pending, {}
        with contextlib.suppress(*_UNWRITABLE):
            for metrics in pending.values():
                if metrics.metric_set:  # a full one was written already
                    metrics.flush_metrics()

    def _group(self, dimensions: tuple[tuple[str, str], ...]) -> EphemeralMetrics:
        """Return the metrics that share these dimensions: a line of the embedded format has one set."""
        if dimensions not in self._pending:
            metrics = EphemeralMetrics(namespace=NAMESPACE, service=SERVICE)
            for name, value in dimensions:
                metrics.add_dimension(name, value)
            self._pending[dimensions] = metrics
        return self._pending[dimensions]
