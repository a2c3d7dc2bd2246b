"""The files of the ops page: what the build of `clients/web` made, and the runbooks."""

from pathlib import Path
from typing import Final

from aiohttp import web

_ROOT: Final = Path(__file__).parents[1]
BUILT: Final = _ROOT / "clients" / "web" / "dist"
RUNBOOKS: Final = _ROOT / "docs" / "operations.md"
_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_UNBUILT: Final = "The ops page is not built yet. Build it with: make web"


def page(built: Path = BUILT) -> web.Response:
    """Return the page; where it is not built, a sentence that says how to build it."""
    try:
        return _answer((built / "ops.html").read_bytes(), "text/html")
    except OSError:
        return web.Response(status=503, text=_UNBUILT)


def asset(name: str, built: Path = BUILT) -> web.Response:
    """Return a script, a style or a picture of the page.

    Raises:
        web.HTTPNotFound: there is no such file, whatever way the name takes.
    """
    try:
        found = next((path for path in (built / "assets").iterdir() if path.name == name), None)
        if found is None or found.suffix not in _TYPES:
            raise web.HTTPNotFound
        return _answer(found.read_bytes(), _TYPES[found.suffix])
    except OSError:
        raise web.HTTPNotFound from None


def runbooks(path: Path = RUNBOOKS) -> web.Response:
    """Return the runbooks.

    Raises:
        web.HTTPNotFound: they are not there.
    """
    try:
        return _answer(path.read_bytes(), "text/markdown")
    except OSError:
        raise web.HTTPNotFound from None


def _answer(body: bytes, content_type: str) -> web.Response:
    return web.Response(body=body, content_type=content_type, charset="utf-8")
