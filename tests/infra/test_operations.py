"""The page of runbooks: what is generated of it, and what its hand-written parts name exists."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from infra.bill import BUDGET_DOLLARS, custom_metrics
from infra.monitoring.alarm import AlarmRow, CompositeRow, description
from infra.monitoring.alarms import ALARMS, BLANK_SCREEN
from infra.operations import UnusablePage, filled, main, parts
from playbyplay.observability import EVENTS, METRICS
from tests.infra.synthesis import ROOT

PAGE = ROOT / "docs" / "operations.md"
TEXT = PAGE.read_text(encoding="utf-8")
ROWS: tuple[AlarmRow | CompositeRow, ...] = (BLANK_SCREEN, *ALARMS)
EVENT_NAMES = {event.name for event in EVENTS}
RUNBOOKS = TEXT.split("\n## Runbooks\n")[1].split("\n## ")[0]
SECTIONS: Mapping[str, str] = {
    heading: text for heading, _, text in (part.partition("\n") for part in RUNBOOKS.split("\n### ")[1:])
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A page that may be written to."""
    path = tmp_path / "operations.md"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_the_page_is_what_the_catalogue_and_the_alarms_say() -> None:
    """As `make check` finds it."""
    assert main(["--check", str(PAGE)]) == 0


@pytest.mark.parametrize("name", list(parts()))
def test_a_part_that_has_drifted_is_found_and_mended(name: str, copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The check writes nothing; without it the part is as it was, and so is what people wrote."""
    drifted = TEXT.replace(parts()[name], "something else")
    assert drifted != TEXT
    copy.write_text(drifted)
    assert main(["--check", str(copy)]) == 1
    assert "make generate" in capsys.readouterr().err
    assert copy.read_text() == drifted
    assert main([str(copy)]) == 0
    assert copy.read_text() == TEXT


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace("<!-- bill -->", ""),
        lambda text: text.replace("<!-- /bill -->", ""),
        lambda text: text + "<!-- bill -->",
        lambda text: (
            text.replace("<!-- bill -->", "<!-- x -->").replace("<!-- /bill -->", "<!-- bill --><!-- /bill -->")
            + "<!-- /bill -->"
        ),
    ],
    ids=["no beginning", "no end", "two beginnings", "two ends"],
)
@pytest.mark.parametrize("how", [["--check"], []], ids=["check", "write"])
def test_a_page_without_a_place_for_a_part_is_refused(
    spoil: Callable[[str], str], how: list[str], copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence names the place, and nothing is written."""
    spoiled = spoil(TEXT)
    copy.write_text(spoiled)
    assert main([*how, str(copy)]) == 2
    assert "<!-- bill -->" in capsys.readouterr().err
    assert copy.read_text() == spoiled


def test_an_end_before_its_beginning_is_no_place() -> None:
    """Nothing could stand between them."""
    with pytest.raises(UnusablePage, match="<!-- a -->"):
        filled("<!-- /a --> <!-- a -->", {"a": "text"})


@pytest.mark.parametrize("arguments", [[], ["--check"], ["a", "b"], ["no/such/page.md"]])
def test_what_names_no_page_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With a sentence, not a traceback."""
    assert main(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_every_alarm_has_its_runbook_and_every_runbook_its_alarm() -> None:
    """One section each, under the anchor that the alarm's description links to."""
    headings = re.findall(r"^### (.+)$", RUNBOOKS, re.MULTILINE)
    assert sorted(headings) == sorted(row.name for row in ROWS)
    anchors = re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    for row in ROWS:
        anchor = description(row).rsplit("#", 1)[1]
        assert [heading for heading in anchors if _anchor(heading) == anchor] == [row.name]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_runbook_says_what_to_look_at_and_what_to_do(row: AlarmRow | CompositeRow) -> None:
    """And what it usually is, how one sees that it is over, and how it can be made to happen."""
    section = SECTIONS[row.name]
    for word in ("**What happened:**", "**Look.**", "**Causes.**", "**Do.**", "**Over.**", "**Try.**"):
        assert section.count(word) == 1, word


def test_every_metric_and_every_event_stands_in_the_page() -> None:
    """In a row of its own in its table."""
    for name in [*(metric.name for metric in METRICS), *EVENT_NAMES]:
        assert len(re.findall(rf"^\| `{name}` \|", TEXT, re.MULTILINE)) == 1, name


def test_every_value_of_a_dimension_is_named() -> None:
    """Those that the catalogue lists, and `other`."""
    row = next(line for line in TEXT.splitlines() if line.startswith("| `TerminalReached` |"))
    assert "`outcome`: completed, failed, cancelled, other" in row


def test_no_link_leads_nowhere() -> None:
    """Neither to a section of the page nor to another page."""
    anchors = {_anchor(heading) for heading in re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)}
    links = re.findall(r"\]\(([^)]+)\)", TEXT)
    assert {link[1:] for link in links if link.startswith("#")} <= anchors
    files = {link.split("#")[0] for link in links if not link.startswith(("#", "https:"))}
    assert [name for name in files if not (PAGE.parent / name).exists()] == []


def test_queries_ask_for_events_and_fields_that_are_logged() -> None:
    """A query for what nobody logs finds nothing, and looks like good news."""
    queries = re.findall(r"^ask \d+ '(.+)'$", TEXT, re.MULTILINE)
    assert len(queries) > 20
    fields = {field for event in EVENTS for field in event.fields.split()} | {"event", "service"}
    for query in queries:
        assert set(re.findall(r'event = "(\w+)"', query)) <= EVENT_NAMES, query
        named = [name for names in re.findall(r"event in \[([^]]+)\]", query) for name in re.findall(r"\w+", names)]
        assert set(named) <= EVENT_NAMES, query
        shown = [word for part in re.findall(r"\| fields ([^|]+)", query) for word in re.findall(r"[@\w]+", part)]
        assert {word for word in shown if not word.startswith("@")} <= fields, query
        tested = re.findall(r"(\w+) (?:=|>|in) ", query) + re.findall(r"ispresent\((\w+)\)", query)
        assert set(tested) <= fields, query
        counted = [word for part in re.findall(r" by ([^|]+)", query) for word in re.findall(r"[@\w]+", part)]
        assert {word for word in counted if word not in {"bin", "5m", "@log"}} <= fields, query


def test_what_the_page_names_of_the_code_exists() -> None:
    """Files, targets of make, and the words of our own command line."""
    for path in re.findall(r"`((?:infra|playbyplay|local|docs)/[\w/.]+)`", TEXT):
        found = [folder / path for folder in (ROOT, ROOT / "layers" / "shared" / "python") if (folder / path).exists()]
        assert found, path
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make ([a-z-]+)", "\n".join(re.findall(r"`[^`]*`", TEXT)))) <= targets
    faults = (ROOT / "clients" / "python" / "playbyplay_client" / "faults.py").read_text()
    for order, options in re.findall(r"playbyplay faults ([a-z-]+)((?: --\w+ \w+)*)", TEXT):
        assert f'"{order}"' in faults
        assert all(f'"--{name}"' in faults for name in re.findall(r"--(\w+)", options))


def test_the_bill_is_told_with_its_budget() -> None:
    """The custom metrics stay below it, by the catalogue as it is."""
    assert f"The custom metrics are {custom_metrics().dollars:.2f} of the {BUDGET_DOLLARS:.2f} dollars" in TEXT
    assert "aws.amazon.com/cloudwatch/pricing" in TEXT


def _anchor(heading: str) -> str:
    """Return a heading's anchor as code hosts make it."""
    return re.sub(r"[^\w\s-]", "", heading.lower()).strip().replace(" ", "-")
