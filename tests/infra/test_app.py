"""The app as a whole: what the checkers say of it, and what becomes of a wrong choice."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.infra.conftest import Deployments
from tests.infra.synthesis import Stack, finish, start

# Written by the CDK for each function with a role of its own: true, and harmless.
NEEDLESS_DEPENDENCY = "W3005"


def test_nothing_is_found_that_is_not_explained(deployments: Deployments) -> None:
    """Both packs of cdk-nag look at what goes to AWS, and every finding is acknowledged with its reason."""
    for stack in (deployments.own, deployments.foreign):
        report = json.loads((stack.folder / "validation-report.json").read_text())
        assert [one for plugin in report["pluginReports"] for one in plugin["violations"]] == []


def test_each_reason_is_for_something_that_is_found(deployments: Deployments) -> None:
    """The checks do run: without the reasons they find what the reasons are for, and no more reasons stand."""
    report = json.loads((deployments.unexplained / "validation-report.json").read_text())
    found = {
        (violation["ruleName"], construct["constructPath"])
        for plugin in report["pluginReports"]
        for violation in plugin["violations"]
        for construct in violation["violatingConstructs"]
    }
    reasons = _reasons(deployments.own)
    assert len(found) > 40
    assert not [one for one in found if not any(_answers(reason, one) for reason in reasons)]
    assert not [reason for reason in reasons if not any(_answers(reason, one) for one in found)]
    assert all(len(why) > 20 for why in reasons.values())


@pytest.mark.parametrize("deployment", ["own", "foreign", "host"])
def test_the_template_is_sound(request: pytest.FixtureRequest, deployment: str) -> None:
    """cfn-lint has nothing to say of any of the three."""
    folder: Path = request.getfixturevalue(deployment).folder
    command = [str(Path(sys.executable).with_name("cfn-lint")), "-i", NEEDLESS_DEPENDENCY, "--"]
    template = str(folder / "Playbyplay.template.json")
    done = subprocess.run([*command, template], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_a_wrong_choice_is_one_sentence_and_no_template(tmp_path: Path) -> None:
    """A context value that cannot be meant fails the synth and says why, without a traceback."""
    code, told = finish(start(tmp_path, issuer="https://id.example.org"))
    assert code == 1
    assert told == "issuer needs audience: without it a token for any other service would be taken.\n"
    assert not (tmp_path / "Playbyplay.template.json").exists()


def _reasons(stack: Stack) -> dict[tuple[str, str], str]:
    """Return what is acknowledged, by rule and by the construct that it is acknowledged on."""
    noted = json.loads((stack.folder / "Playbyplay.metadata.json").read_text())
    return {
        (rule.removeprefix("Annotation::"), path.removeprefix("/")): why
        for path, entries in noted.items()
        for entry in entries
        if entry["type"] == "aws:cdk:acknowledged-rules"
        for rule, why in entry["data"].items()
    }


def _answers(reason: tuple[str, str], finding: tuple[str, str]) -> bool:
    """Whether a reason is for a finding: the same rule, on the construct or above it."""
    return reason[0] == finding[0] and f"{finding[1]}/".startswith(f"{reason[1]}/")
