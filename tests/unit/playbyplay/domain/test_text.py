"""Foreign text: cleaned, cut on the border of a character, never longer than asked."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playbyplay.domain.text import clean, clip, prefix, prefix_as_json
from tests.properties import PROPERTY

ANY = st.text(st.characters(exclude_categories=[]), max_size=200)
GOOD = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
FIT = ANY.map(clean)


def test_clean_replaces_what_must_not_be_shown_and_keeps_the_rest() -> None:
    """Controls, lone surrogates and non-characters become U+FFFD, one for one; tab, LF and CR stay."""
    assert clean("a\x00b\x1b[31m\x7f\x9f\ud800\ufffe\uffff") == "a\ufffdb\ufffd[31m\ufffd\ufffd\ufffd\ufffd\ufffd"
    kept = "\t\n\r <b>é€😀\u202e\u200b\ufffd\u0301"
    assert clean(kept) == kept


@PROPERTY
@given(ANY)
def test_clean_text_can_be_encoded_and_stays_clean(text: str) -> None:
    """It has as many characters as before, and cleaning it again changes nothing."""
    cleaned = clean(text)
    cleaned.encode()
    assert len(cleaned) == len(text)
    assert clean(cleaned) == cleaned


@PROPERTY
@given(GOOD, st.integers(0, 300))
def test_a_prefix_is_the_longest_that_fits(text: str, limit: int) -> None:
    """At most so many bytes, and the next character would be too many."""
    cut = prefix(text, limit)
    assert text.startswith(cut)
    assert len(cut.encode()) <= limit
    assert cut == text or len((cut + text[len(cut)]).encode()) > limit


@pytest.mark.parametrize(
    ("limit", "expected"), [(0, ""), (1, ""), (3, ""), (4, "😀"), (5, "😀"), (8, "😀😀"), (99, "😀😀")]
)
def test_a_prefix_cuts_no_character(limit: int, expected: str) -> None:
    """A four-byte character is there or it is not."""
    assert prefix("😀😀", limit) == expected


@PROPERTY
@given(ANY, st.integers(8, 300))
def test_a_clipped_text_is_clean_not_empty_and_not_too_long(text: str, limit: int) -> None:
    """Fit for an event field, whatever came in."""
    clipped = clip(text, limit, empty="(none)")
    assert clipped
    assert clipped == clean(clipped)
    assert len(clipped.encode()) <= limit
    stripped = clean(text).strip()
    assert clipped == (stripped or "(none)") or clipped.endswith("…")


def test_a_text_that_fits_is_only_stripped() -> None:
    """And one that does not ends in an ellipsis."""
    assert clip("  hello\n", 5, empty="?") == "hello"
    assert clip("hello!", 5, empty="?") == "h …"
    assert clip(" \n\t", 5, empty="(none)") == "(none)"
    assert clip("", 5, empty="(none)") == "(none)"


@PROPERTY
@given(FIT, st.integers(0, 300))
def test_a_prefix_as_json_fits_when_it_is_rendered(text: str, limit: int) -> None:
    """Escapes counted; of a text that is cut, at least half the room is used but for one character."""
    cut = prefix_as_json(text, limit)
    size = len(json.dumps(cut, ensure_ascii=False).encode()) - 2
    assert text.startswith(cut)
    assert size <= limit
    assert cut == text or size >= limit // 2 - 8


def test_a_prefix_as_json_of_a_text_that_fits_is_the_text() -> None:
    """With the escapes exactly at the limit too."""
    assert prefix_as_json('"\n', 4) == '"\n'
    assert len(prefix_as_json('"\n', 3)) < 2


@pytest.mark.parametrize("char", ['"', "\\", "\n", "a", "€", "😀", "\x01"])
def test_a_prefix_as_json_ends(char: str) -> None:
    """Even of a text of nothing but escapes, a mebibyte long."""
    cut = prefix_as_json(char * 300_000, 23_552)
    assert len(json.dumps(cut, ensure_ascii=False).encode()) - 2 <= 23_552
