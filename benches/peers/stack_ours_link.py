"""This package behind `call_server.py`, for clients over links: routes on a server of their own."""

import asyncio
import socket

import uvicorn
from conversing import make_handler
from fastapi import FastAPI

from gradio_webrtc import ReplyOnPause, StreamHandler
from gradio_webrtc._server.link import LinkRoutes
from gradio_webrtc._session.manager import SessionManager
from gradio_webrtc._session.origins import Site
from gradio_webrtc._session.signaling import Signaling


class WithoutSignals(uvicorn.Server):
    """A server in somebody else's event loop."""

    async def serve(self, sockets=None):
        """Serves, and leaves signals alone."""
        await self._serve(sockets)


def make_offer(scenario, meter):
    """Returns what answers requests for links, with that scenario's handler."""
    manager = SessionManager()
    handler = make_handler(scenario, StreamHandler, ReplyOnPause, meter)
    manager.serve(handler.copy, concurrency_limit=None)
    signaling, routes, app = Signaling(manager), LinkRoutes(), FastAPI()
    routes.serve(signaling, Site())
    app.add_api_websocket_route("/link", routes.open_websocket)
    app.add_api_route("/link", routes.get, methods=["GET"])
    app.add_api_route("/link", routes.post, methods=["POST"])
    listening = socket.create_server(("127.0.0.1", 0))
    server = WithoutSignals(uvicorn.Config(app, log_level="error", lifespan="off"))
    serving = asyncio.get_running_loop().create_task(server.serve([listening]))

    async def offer(body):
        answer = await signaling.handle_request(body)
        # The task is named here, so that it lives as long as this function.
        port = listening.getsockname()[1] if not serving.done() else 0
        return {**answer, "url": f"http://127.0.0.1:{port}/link"}

    return offer
