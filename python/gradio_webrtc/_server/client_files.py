"""The files of the client package, as every `Stream` serves them beside its other routes.

A page loads ``client.js`` from the server that it calls, so that both have the same version. The
files are part of the package and the same for everybody. Runs on the event loop.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from fastapi import Request, Response

from .cross_origin import CrossOrigin

if TYPE_CHECKING:
    from fastapi import APIRouter

    from gradio_webrtc._session.origins import Site

FOLDER: Final = Path(__file__).parents[1] / "templates" / "client"

NAMES: Final = ("client.js", "client-link.js", "client-worklet.js")
"""The first loads the second, and that the third, only where WebRTC does not connect."""

MEDIA_TYPE: Final = "text/javascript"
"""RFC 9239 section 6. A browser loads modules under no type that is not JavaScript's."""

NOT_MODIFIED: Final = 304
UNAVAILABLE: Final = 503


class ClientFile(NamedTuple):
    """One file.

    Attributes:
        content: Its bytes.
        tag: Its entity tag (RFC 9110 section 8.8.3).
    """

    content: bytes
    tag: str


class ClientFiles:
    """Serves the files.

    Args:
        site: The origins of pages that may load them from elsewhere.
    """

    def __init__(self, site: Site) -> None:
        self._cors = CrossOrigin(site, methods=["GET"], headers=[])

    def add_to(self, router: APIRouter) -> None:
        """Adds a route for each file."""
        for name in NAMES:
            router.add_api_route(
                f"/{name}",
                functools.partial(self.get, name),
                methods=["GET", "HEAD"],
                name=name,
                include_in_schema=False,
            )

    async def get(self, name: str, request: Request) -> Response:
        """Answers with a file, or with status 304 to a browser that has it already."""
        try:
            file = read_file(name)
        except FileNotFoundError:
            advice = f"{name} was not built: install a wheel, or run 'make build'\n"
            return Response(advice, UNAVAILABLE, media_type="text/plain")
        # Asked for each time: the files of one version belong together.
        headers = {"cache-control": "no-cache", "etag": file.tag}
        if _has_tag(request.headers.get("if-none-match", ""), file.tag):
            response = Response(status_code=NOT_MODIFIED, headers=headers)
        else:
            headers["x-content-type-options"] = "nosniff"
            response = Response(file.content, headers=headers, media_type=MEDIA_TYPE)
        self._cors.allow(request, response)
        return response


@functools.cache
def read_file(name: str) -> ClientFile:
    """Returns a file, which is read once.

    Raises:
        FileNotFoundError: It was not built.
    """
    content = (FOLDER / name).read_bytes()
    return ClientFile(content, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


def _has_tag(header: str, tag: str) -> bool:
    """True if ``If-None-Match`` lists a tag; compared weakly (RFC 9110 section 13.1.2).

    A proxy that compresses makes the tag a weak one.
    """
    listed = {each.strip().removeprefix("W/") for each in header.split(",")}
    return bool(listed & {tag, "*"})
