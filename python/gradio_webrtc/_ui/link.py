"""The routes of links in Gradio's app, added while it runs: nothing of Gradio's is patched.

Their path begins as that of Gradio's own requests does, so that whatever stands in front of the app
lets it pass: the proxy of server-side rendering forwards no other. Runs on the event loop.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Final

from gradio_webrtc._server.link import LinkRoutes

if TYPE_CHECKING:
    from gradio_webrtc._session.origins import Site
    from gradio_webrtc._session.signaling import Signaling

PATH: Final = "gradio_api/gradio_webrtc/link"
"""Below the root of the app, as the page has it."""

_served: weakref.WeakKeyDictionary[Any, LinkRoutes] = weakref.WeakKeyDictionary()


def serve_links(app: Any, signaling: Signaling, site: Site) -> str:
    """Serves the links of a component in Gradio's app, and returns their path.

    Args:
        app: Gradio's app, which has got a request for one.
        signaling: That of the component.
        site: The addresses of the server.
    """
    routes = _served.get(app)
    if routes is None:
        routes = _served[app] = LinkRoutes()
        path = f"/{PATH}"
        app.router.add_websocket_route(path, routes.websocket)
        app.add_api_route(path, routes.get, methods=["GET"], include_in_schema=False)
        app.add_api_route(path, routes.post, methods=["POST"], include_in_schema=False)
    routes.serve(signaling, site)
    return PATH
