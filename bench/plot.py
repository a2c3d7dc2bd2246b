"""The bench as a picture: turns per second and time to the first event, as plain SVG."""

from typing import Any
from xml.sax.saxutils import escape

_WIDTH, _BAR, _GAP, _LEFT, _TOP = 760, 18, 10, 190, 70
_SPAN = _WIDTH - _LEFT - 110
_COLOURS = {"bare": "#9aa4b2", "playbyplay": "#2f6fed"}


def svg(rows: list[dict[str, Any]], caption: str) -> str:
    """Return the picture.

    Args:
        rows: as the bench keeps them.
        caption: when and where it was measured.
    """
    turns = [row for row in rows if row["scenario"] == "turns"]
    parts: list[str] = []
    y = _TOP
    for title, unit, values in (
        ("Turns per second (more is better)", "", [row["turns_per_s"] for row in turns]),
        ("First event, p50 (less is better)", " ms", [row["first_ms"]["p50"] for row in turns]),
    ):
        parts.append(f'<text x="16" y="{y}" class="head">{escape(title)}</text>')
        y += 14
        for row, value in zip(turns, values, strict=True):
            length = max(2.0, _SPAN * value / max(values))
            label = f"{row['subject']}, {row['clients']} client{'s' if row['clients'] > 1 else ''}"
            parts.append(f'<text x="{_LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(label)}</text>')
            colour = _COLOURS[row["subject"]]
            parts.append(f'<rect x="{_LEFT}" y="{y}" width="{length:.1f}" height="{_BAR}" rx="3" fill="{colour}"/>')
            parts.append(f'<text x="{_LEFT + length + 6:.1f}" y="{y + 13}">{value:,.1f}{unit}</text>')
            y += _BAR + _GAP
        y += 26
    style = (
        "text{font:13px system-ui,sans-serif;fill:#1f2937}.head{font-weight:600;font-size:14px}"
        ".small{font-size:11px;fill:#6b7280}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{y}" viewBox="0 0 {_WIDTH} {y}">'
        f'<style>{style}</style><rect width="100%" height="100%" fill="#ffffff"/>'
        '<text x="16" y="24" class="head">The canonical turn, each event on the disk before it is sent, '
        "beside a loop that stores nothing</text>"
        f'<text x="16" y="41" class="small">{escape(caption)}</text>{"".join(parts)}</svg>\n'
    )
