"""A model that needs no key: it follows rules, decides from the message and the results, and says so.

It chooses the tool whose words the message shares, fills its arguments from the message, and writes
its answer from what the tools returned. Same request, same response.
"""

import asyncio
import functools
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent_runner.model import ModelRequest, ModelResponse, OnText, RequestedCall
from playbyplay.domain.derivation import ToolMessage, UserMessage

_WORD = re.compile(r"[a-z]{3,}")
_FENCED = re.compile(r"```[\w+-]*[ \t]*\n(.*?)```", re.DOTALL)
_CODE_LINE = re.compile(
    r"^(?:def |class |import |from \w+ import |for .+:|while .+:|if .+:|with .+:|@\w|async def )", re.MULTILINE
)
_INTEGER = re.compile(r"-?\d{1,15}")
_STOP = frozenset(
    _WORD.findall(
        """the and for with from that this what how why are your you can does into its not but please about tell
        show give make use has have was were will would could should been who which when where their them than
        then only own"""
    )
)
_CODE_PARAMETERS = frozenset({"code", "snippet", "source"})
_PIECE = 48  # characters streamed at a time, or more where the answer would take more than ...
_PIECES = 20  # ... this many pieces


@dataclass(frozen=True, slots=True)
class _Choice:
    """A tool or a delegation that may fit."""

    name: str
    words: Mapping[str, str]
    schema: Mapping[str, Any]


class ScriptedModel:
    """Answers by rules.

    Args:
        pace_s: the pause before each answer and, in small parts, while it streams; 0 in tests.
    """

    def __init__(self, *, pace_s: float = 0.0) -> None:
        self._pace_s = pace_s

    @property
    def name(self) -> str:
        """What the page and the log call it."""
        return "scripted"

    async def respond(self, request: ModelRequest, on_text: OnText) -> ModelResponse:
        """Answer one request; never fails."""
        if self._pace_s:
            await asyncio.sleep(self._pace_s)
        response = decide(request)
        if not response.calls:
            await self._stream(response.text, on_text)
        return response

    async def _stream(self, text: str, on_text: OnText) -> None:
        size = max(_PIECE, len(text) // _PIECES + 1)
        for at in range(0, len(text), size):
            await on_text(1, text[at : at + size])
            if self._pace_s:
                await asyncio.sleep(self._pace_s / 10)


def decide(request: ModelRequest) -> ModelResponse:
    """Return the response to a request."""
    last_user = max(at for at, message in enumerate(request.messages) if isinstance(message, UserMessage))
    results = [message for message in request.messages[last_user:] if isinstance(message, ToolMessage)]
    if results:
        return ModelResponse(_report(results))
    content = request.messages[last_user]
    text = content.content if isinstance(content, UserMessage) else ""
    choice, shared = _choose(text, _choices(request))
    if choice is None:
        return ModelResponse(_introduction(request))
    arguments = _fill(choice.schema, text)
    if arguments is None:
        return ModelResponse(
            f"I would use `{choice.name}` for this, but the message does not hold what it needs. "
            "Paste the code between two lines of three backticks and send it again."
        )
    thought = f"The message is about {', '.join(shared)}, so I will use {choice.name}."
    return ModelResponse(thought, (RequestedCall(choice.name, json.dumps(arguments)),))


def _choices(request: ModelRequest) -> list[_Choice]:
    tools = [_Choice(tool.name, _words(f"{tool.name} {tool.description}"), tool.schema) for tool in request.tools]
    task = {"properties": {"task": {"type": "string"}}, "required": ["task"]}
    return tools + [
        _Choice(one.tool_name, _words(f"{one.agent_id} {one.description}"), task) for one in request.delegates
    ]


def _choose(text: str, choices: Sequence[_Choice]) -> tuple[_Choice | None, list[str]]:
    """Return the choice that shares the rarest words with the text, and those words as they were written."""
    words = _words(_FENCED.sub(" ", text)) | (_words("Python code") if _code_in(text) else {})
    best, best_score, best_shared = None, 0.0, list[str]()
    for choice in choices:
        shared = [stem for stem in words if stem in choice.words]
        score = sum(math.log(1 + len(choices) / sum(stem in other.words for other in choices)) for stem in shared)
        if score > best_score:
            best, best_score, best_shared = choice, score, [words[stem] for stem in shared[:4]]
    return best, best_shared


@functools.lru_cache(maxsize=256)
def _words(text: str) -> dict[str, str]:
    """Return the words that say something, by their stems, in the order of the text."""
    found = (word for word in _WORD.findall(text.lower().replace("_", " ")) if word not in _STOP)
    return {_stem(word): word for word in found}


def _stem(word: str) -> str:
    for ending in ("ations", "ation", "ings", "ing", "ies", "es", "s", "ed", "er", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:  # noqa: PLR2004 - shorter stems collide
            return word[: -len(ending)]
    return word


def _fill(schema: Mapping[str, Any], text: str) -> dict[str, Any] | None:
    """Return arguments for what the schema requires, taken from the text; None if it does not hold them."""
    arguments: dict[str, Any] = {}
    for name in schema.get("required", ()):
        kind = schema["properties"][name].get("type")
        value: object = None
        if kind == "string":
            value = _code_in(text) if name in _CODE_PARAMETERS else text
        elif kind in ("integer", "number") and (found := _INTEGER.search(text)):
            value = int(found[0])
        elif kind == "boolean":
            value = True
        if value is None:
            return None
        arguments[name] = value
    return arguments


def _code_in(text: str) -> str | None:
    """Return the code a message holds: between fences, else from its first line that looks like Python."""
    if fenced := _FENCED.search(text):
        return fenced[1]
    if line := _CODE_LINE.search(text):
        return text[line.start() :]
    return None


def _report(results: Sequence[ToolMessage]) -> str:
    if len(results) == 1:
        return results[0].content
    return "\n\n".join(f"**{result.tool_name}** reports:\n\n{result.content}" for result in results)


def _introduction(request: ModelRequest) -> str:
    able = [f"- `{tool.name}`: {_first_sentence(tool.description)}" for tool in request.tools]
    able += [f"- `{one.agent_id}`: {_first_sentence(one.description)}" for one in request.delegates]
    return (
        "I am the scripted model: no model key is set, so I follow rules and do not understand free text. "
        "What I can do is real, though:\n\n" + "\n".join(able) + "\n\nTry: *Analyze my database performance*."
    )


def _first_sentence(text: str) -> str:
    return text.strip().split("\n\n")[0].split(". ")[0].rstrip(".") + "."
