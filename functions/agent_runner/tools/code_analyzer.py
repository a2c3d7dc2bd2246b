"""The tool that looks for slow and overly complex Python in a pasted snippet.

Static only: ruff reads the snippet from its standard input, and the snippet's loops are measured on
its syntax tree. It is never executed, imported or written to a file.
"""

import functools
import json
import re
import subprocess
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import ruff  # type: ignore[import-untyped]
from pydantic import Field

from agent_runner.agent import ToolFailure, ToolOutput, tool
from agent_runner.tools.loop_analysis import DEEP, Measures, measure

_LIMIT_S = 10
_MAX_COMPLEXITY = 10
_MAX_ROWS = 25
_MAX_RULES = 10
_MAX_NAMES = 20
_MAX_TEXT = 120
_MAX_REASON = 240
_UNDEFINED = "F821"  # a snippet often leaves its imports out: told apart, not counted
_SYNTAX = "invalid-syntax"
# Broken code, needless work, and complexity; rules of taste and of types are left out.
_RULES = (
    *("F5", "F6", "F7", "F811", _UNDEFINED, "F823", "F841"),
    *("PERF", "C4", "ASYNC1", "ASYNC2", "B019", "RUF015", "RUF017"),
    *("FURB122", "FURB129", "FURB132", "FURB161", "FURB187", "FURB192"),
    *("SIM110", "SIM113", "SIM118", "SIM401", "SIM911"),
    *("PLC0206", "PLC0207", "PLC0208", "PLR1714", "PLR1733", "PLR1736", "PLW3301"),
    *("C90", "PLR0911", "PLR0912", "PLR0913", "PLR0915"),
)
_LOOP_RULES = {
    "nested-loops": f"{DEEP} or more loops inside each other multiply: ten times the data is a thousand times the work "
    "or more. A dictionary or set built once before the loops often replaces the innermost one.",
    "list-membership": "`in` walks a list from its start; a set answers at once, whatever its size.",
}
_ONLY_PYTHON = (
    "Only Python is analyzed. Send the source alone, without Markdown fences, `>>>` prompts or text around it, "
    "and whole statements."
)


@dataclass(frozen=True, slots=True)
class Finding:
    """A place to look at.

    Attributes:
        line: from 1.
        code: the rule's code; for loops, its name.
        name: the rule's name.
        message: what is wrong.
        fix: what ruff would do about it, "" when it has no fix.
    """

    line: int
    code: str
    name: str
    message: str
    fix: str = ""


@tool(semantics="pure", running="Analyzing code", timeout_s=20)
def code_analyzer(
    code: Annotated[
        str,
        Field(min_length=1, max_length=20_000, description="Python source, as it is, without Markdown fences."),
    ],
) -> ToolOutput:
    """Find performance and complexity problems in Python code by static analysis.

    Reports slow idioms, nested loops, membership tests on lists, blocking calls in async functions, too complex
    functions, and syntax errors, each with its line. The code is not executed.
    """
    # A lone surrogate cannot be encoded; a method pasted from its class is indented as a whole.
    source = textwrap.dedent(code.encode(errors="replace").decode())
    found = _ruff_findings(source)
    lines = _counted(len(source.rstrip("\n").split("\n")), "line")
    # One error a line: what follows on the same line is mostly its echo.
    broken = list({finding.line: finding for finding in reversed(found) if finding.code == _SYNTAX}.values())[::-1]
    if broken:
        return ToolOutput(f"Found {_counted(len(broken), 'syntax error')} in {lines}", _syntax_report(broken))
    undefined = sorted({match[1] for f in found if f.code == _UNDEFINED and (match := re.search("`(.+)`", f.message))})
    issues = [finding for finding in found if finding.code != _UNDEFINED]
    measures = _measures(source)
    if measures:
        issues += [Finding(smell.line, smell.name, smell.name, smell.message) for smell in measures.smells]
    issues.sort(key=lambda finding: (finding.line, finding.code))
    what = _counted(len(issues), "issue") if issues else "nothing to improve"
    summary = f"Found {what} in {lines}"
    return ToolOutput(summary, _report(summary, issues, measures, undefined))


def _measures(source: str) -> Measures | None:
    try:
        return measure(source)
    except (RecursionError, MemoryError) as error:
        message = "The code is nested too deeply to be analyzed."
        raise ToolFailure(message) from error
    except (SyntaxError, ValueError):  # ruff knows newer syntax, and follows deeper nesting
        return None


def _ruff_findings(source: str) -> list[Finding]:
    options = ("--isolated", "--no-cache", "--ignore-noqa", "--exit-zero", "--quiet", "--output-format=json")
    # The newest syntax is accepted; pasted code does not say which Python it is for.
    chosen = (f"--select={','.join(_RULES)}", f"--config=lint.mccabe.max-complexity={_MAX_COMPLEXITY}")
    output = _run_ruff(
        ("check", *options, *chosen, "--target-version=py314", "--stdin-filename=snippet.py", "-"), source
    )
    return [
        Finding(
            line=int(found["location"]["row"]),
            code=str(found["code"]),
            name=str(found["name"]),
            message=str(found["message"]),
            fix=str((found["fix"] or {}).get("message") or ""),
        )
        for found in _json(output)
    ]


@functools.cache
def _explanations() -> Mapping[str, str]:
    """Ruff's own account, by rule code, of why it reports what it does: the first paragraph."""
    rules = _json(_run_ruff(("rule", "--all", "--output-format=json"), ""))
    parts = ((str(rule["code"]), str(rule["explanation"]).partition("## Why is this bad?")[2]) for rule in rules)
    return {code: " ".join(why.strip().split("\n\n")[0].split()) for code, why in parts}


def _json(output: str) -> list[dict[str, Any]]:
    try:
        parsed: list[dict[str, Any]] = json.loads(output)
    except ValueError as error:
        message = "The code analyzer gave an answer that cannot be read."
        raise ToolFailure(message) from error
    return parsed


def _run_ruff(arguments: Sequence[str], text: str) -> str:
    try:
        # No environment: RUFF_... variables could make it write files.
        run = subprocess.run(
            [ruff.find_ruff_bin(), *arguments],
            input=text.encode(),
            capture_output=True,
            timeout=_LIMIT_S,
            check=True,
            env={},
        )
    except FileNotFoundError as error:
        message = "The code analyzer is not installed here."
        raise ToolFailure(message) from error
    except subprocess.TimeoutExpired as error:
        message = f"The code could not be analyzed within {_LIMIT_S} seconds."
        raise ToolFailure(message) from error
    except (OSError, subprocess.CalledProcessError) as error:
        message = "The code analyzer stopped with an error; the code may be nested too deeply."
        raise ToolFailure(message) from error
    return run.stdout.decode(errors="replace")


def _syntax_report(broken: Sequence[Finding]) -> str:
    listed = "\n".join(f"- line {finding.line}: {_clean(finding.message)}" for finding in broken[:10])
    more = f"\n- and {len(broken) - 10:,} more" if len(broken) > 10 else ""  # noqa: PLR2004  as above
    return f"# Code analysis\n\nThis is not valid Python:\n\n{listed}{more}\n\n{_ONLY_PYTHON}\n"


def _report(summary: str, issues: Sequence[Finding], measures: Measures | None, undefined: Sequence[str]) -> str:
    sections = [f"# Code analysis\n\n{summary}.", _measured(measures)]
    if issues:
        rows = [f"| {f.line} | {_rule(f)} | {_clean(f.message)} | {_clean(f.fix)} |" for f in issues[:_MAX_ROWS]]
        more = f"\n\nand {len(issues) - _MAX_ROWS:,} more" if len(issues) > _MAX_ROWS else ""
        sections.append("\n".join(["| Line | Rule | Problem | Fix |", "| ---: | --- | --- | --- |", *rows]) + more)
        reasons = {**_explanations(), **_LOOP_RULES}
        shown = list(dict.fromkeys(f.code for f in issues[:_MAX_ROWS]))[:_MAX_RULES]
        told = [f"- {code}: {_whole_sentences(reasons[code])}" for code in shown if reasons.get(code)]
        sections.append("\n".join(["## Why", "", *told]))
    if undefined:
        names = ", ".join(f"`{_clean(name)[:40]}`" for name in undefined[:_MAX_NAMES])
        sections.append(f"Names the code uses but does not define, perhaps from elsewhere: {names}.")
    return "\n\n".join(sections) + "\n"


def _rule(finding: Finding) -> str:
    return finding.name if finding.code == finding.name else f"{finding.code} {finding.name}"


def _measured(measures: Measures | None) -> str:
    if measures is None:
        return "Loops were not looked at: the Python here does not take this syntax, or this depth of nesting."
    nesting = f"at most {_counted(measures.deepest_loop, 'loop')} deep" if measures.deepest_loop else "no loops"
    return f"Measured: {_counted(measures.functions, 'function')}, {nesting}."


def _whole_sentences(text: str) -> str:
    return text if len(text) <= _MAX_REASON else text[:_MAX_REASON].rpartition(". ")[0] + "."


def _clean(text: str) -> str:
    """Make text of the snippet fit a table cell."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    flat = flat.replace("|", "\\|")
    return flat if len(flat) <= _MAX_TEXT else flat[: _MAX_TEXT - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what if number == 1 else what + 's'}"
