"""Foreign text made fit to store and show: what models and tools return is cleaned and cut here."""

import json
import re

_UNFIT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_ELLIPSIS = " …"


def clean(text: str) -> str:
    """Replace controls, lone surrogates and non-characters by U+FFFD; keep tab, LF and CR."""
    return _UNFIT.sub("\ufffd", text)


def prefix(text: str, max_bytes: int) -> str:
    """Return the longest prefix of at most `max_bytes` bytes of UTF-8, cut on a code-point border."""
    if len(text) * 4 <= max_bytes:
        return text
    return text[:max_bytes].encode()[:max_bytes].decode(errors="ignore")


def clip(text: str, max_bytes: int, *, empty: str) -> str:
    """Clean a text for an event field: never empty, never longer than `max_bytes` bytes of UTF-8."""
    begin = text.strip(" \t\r\n")
    cleaned = clean(begin[: max_bytes + 1]).strip()  # a tool may return megabytes: cut first, then clean
    if not cleaned:
        return empty
    if len(begin) <= max_bytes and len(cleaned.encode()) <= max_bytes:
        return cleaned
    return prefix(cleaned, max_bytes - len(_ELLIPSIS.encode())) + _ELLIPSIS


def prefix_as_json(text: str, max_bytes: int) -> str:
    """Return a prefix whose JSON string, quotes excluded, is at most `max_bytes` bytes of UTF-8."""
    cut = prefix(text, max_bytes)
    while (size := len(json.dumps(cut, ensure_ascii=False).encode()) - 2) > max_bytes:
        cut = prefix(cut, len(cut.encode()) - (size - max_bytes + 1) // 2 - 1)
    return cut
