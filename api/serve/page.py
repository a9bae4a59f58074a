"""Routes of the page's files; any browser may have them: they hold no answer and no key."""

from __future__ import annotations

from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
_FOLDER = files(__package__) / "static"
_NAMES = sorted(each.name for each in _FOLDER.iterdir() if each.name.rpartition(".")[2] in _TYPES)

PATHS = {"/" if name == "index.html" else f"/page/{name}": name for name in _NAMES}
"""Names of files by the path of their URL."""

STATUS = "/page/status"
"""Where the page asks if the model is loaded: a browser notes each status above 399 on its console."""

TAKE = "/page/take/{search}"
"""Path by which the page ends a search (the stream's id) with its leading answer."""

_HEADERS = {
    # Only our own scripts and styles run, and they speak with this server alone.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # Another version of the server has other files at the same paths.
    "Cache-Control": "no-cache",
}


async def _send(request: Request) -> Response:
    name = PATHS[request.url.path]
    content = _FOLDER.joinpath(name).read_bytes()
    return Response(content, media_type=_TYPES[name.rpartition(".")[2]], headers=_HEADERS)


def page_routes() -> list[Route]:
    """A route for each file."""
    return [Route(path, _send) for path in PATHS]
