"""The dashboard: the questions from top to bottom, and that every number of the catalogue answers one of them."""

import json
from typing import Any

import pytest

from infra.monitoring.alarms import ALARMS
from infra.monitoring.questions import ROWS, Graph, LogTable
from playbyplay.observability import EVENTS, METRICS, NAMESPACE, SERVICE, combinations
from tests.infra.synthesis import Stack

QUESTIONS = (
    "Are users being served?",
    "Where does time go?",
    "What is missing?",
    "What do users do?",
    "What does it cost?",
)
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
COLUMNS, MOST_WIDGETS, MOST_LINES = 24, 500, 500


@pytest.fixture
def widgets(own: Stack) -> list[dict[str, Any]]:
    """The widgets as CloudWatch will read them."""
    (dashboard,) = own.of("AWS::CloudWatch::Dashboard").values()
    found = json.loads(dashboard["DashboardBody"])["widgets"]
    assert isinstance(found, list)
    return found


def _lines(widgets: list[dict[str, Any]]) -> list[tuple[list[str], dict[str, Any]]]:
    """Return every line of every graph: its metric's words, and how it is drawn."""
    return [
        ([word for word in line if isinstance(word, str)], line[-1])
        for widget in widgets
        if widget["type"] == "metric"
        for line in widget["properties"]["metrics"]
    ]


def test_it_is_read_from_top_to_bottom(widgets: list[dict[str, Any]]) -> None:
    """First the state of the alarms, then the five questions in their order, then what AWS counts by itself."""
    below = sorted(widgets, key=lambda widget: (widget["y"], widget["x"]))
    assert [widget["type"] for widget in below[:2]] == ["text", "alarm"]
    headings = [widget["properties"]["markdown"] for widget in below if widget["type"] == "text"][1:]
    titles = [heading.splitlines()[0].removeprefix("## ") for heading in headings]
    assert tuple(titles[:5]) == QUESTIONS
    assert titles == [row.heading for row in ROWS]
    assert all(heading.splitlines()[1].endswith(".") for heading in headings)


def test_every_widget_asks_a_question(widgets: list[dict[str, Any]]) -> None:
    """So a person knows what the graph is there for; no question is asked twice."""
    titles = [widget["properties"]["title"] for widget in widgets if widget["type"] != "text"]
    assert all(title.endswith("?") for title in titles)
    assert len(set(titles)) == len(titles) > 30


def test_every_number_of_the_catalogue_is_shown(widgets: list[dict[str, Any]]) -> None:
    """Each metric, by each value that tells it apart, `other` among them; and none that nobody writes."""
    shown = {
        (name, frozenset(zip(words[::2], words[1::2], strict=True)))
        for (namespace, name, *words), _drawn in _lines(widgets)
        if namespace == NAMESPACE
    }
    written = {
        (metric.name, frozenset([("service", SERVICE), *dimensions]))
        for metric in METRICS
        for dimensions in combinations(metric)
    }
    assert shown == written


def test_each_number_is_drawn_by_the_statistic_that_means_something(widgets: list[dict[str, Any]]) -> None:
    """A gauge by its largest value, a time by percentiles or in all, what is counted by its sum, each minute."""
    of = {metric.name: metric for metric in METRICS}
    for (namespace, name, *_), drawn in _lines(widgets):
        assert drawn["period"] == 60
        if namespace == NAMESPACE:
            gauge, measured = of[name].gauge, of[name].unit == "Milliseconds" or name == "ReceiptLag"
            fits = {"Maximum"} if gauge else {"p50", "p99", "Maximum", "Sum"} if measured else {"Sum"}
            assert drawn["stat"] in fits, name


def test_lines_of_one_graph_can_be_told_apart(widgets: list[dict[str, Any]]) -> None:
    """Each has its own label."""
    for widget in widgets:
        if widget["type"] == "metric":
            labels = [line[-1]["label"] for line in widget["properties"]["metrics"]]
            assert len(set(labels)) == len(labels), widget["properties"]["title"]


def test_the_state_of_every_alarm_is_on_it(own: Stack, widgets: list[dict[str, Any]]) -> None:
    """The one for the blank screen first."""
    (states,) = (widget["properties"]["alarms"] for widget in widgets if widget["type"] == "alarm")
    assert states[0] == "<Monitoring/UsersSeeABlankScreen.Arn>"
    alarms = [*own.of("AWS::CloudWatch::CompositeAlarm"), *own.of("AWS::CloudWatch::Alarm")]
    assert sorted(states) == sorted(f"<{path}.Arn>" for path in alarms)
    assert len(states) == len(ALARMS) + 1


def test_logs_are_asked_for_what_they_hold(own: Stack, widgets: list[dict[str, Any]]) -> None:
    """Each query names events that have lines, fields that those have, and log groups that are there."""
    tables = [widget["properties"]["query"] for widget in widgets if widget["type"] == "log"]
    wanted = [table for row in ROWS for table in row.widgets if isinstance(table, LogTable)]
    assert len(tables) == len(wanted) == 2
    events = {event.name: event for event in EVENTS if not event.counted_only}
    for query, table in zip(tables, wanted, strict=True):
        *sources, fields, chosen, newest, most = query.split(" | ")
        assert all(source.removeprefix("SOURCE '<").removesuffix(">'") in own.resources for source in sources)
        assert len(sources) == len(table.functions)
        named = json.loads(chosen.removeprefix("filter event in "))
        held = {"event", *(field for name in named for field in events[name].fields.split())}
        assert set(fields.removeprefix("fields @timestamp, ").split(", ")) <= held
        assert (newest, most) == ("sort @timestamp desc", "limit 50")


def test_it_fits(widgets: list[dict[str, Any]]) -> None:
    """CloudWatch's own limits: columns, widgets, lines of a graph; no widget lies on another."""
    assert len(widgets) <= MOST_WIDGETS
    taken: set[tuple[int, int]] = set()
    for widget in widgets:
        assert widget["x"] + widget["width"] <= COLUMNS
        assert len(widget["properties"].get("metrics", [])) <= MOST_LINES
        area = {
            (x, y)
            for x in range(widget["x"], widget["x"] + widget["width"])
            for y in range(widget["y"], widget["y"] + widget["height"])
        }
        assert not area & taken
        taken |= area


def test_every_row_has_something_to_see() -> None:
    """No heading stands alone, and no graph is empty."""
    for row in ROWS:
        graphs = [widget for widget in row.widgets if isinstance(widget, Graph)]
        assert graphs
        assert all(graph.series for graph in graphs)
