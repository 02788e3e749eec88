"""What a program does with the sessions of a component: inputs, outputs, counters, their end.

Gradio reads the sections ``Parameters`` of the docstrings, of which each entry has one line. Any
thread may call a method, unless its docstring names another place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from gradio_webrtc._session.stopping import GRACE_S
from gradio_webrtc._workers.workers import Done

from .events import id_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from concurrent.futures import Future

    from gradio_webrtc._handlers import StreamHandlerBase
    from gradio_webrtc._session.manager import SessionManager
    from gradio_webrtc.types import AdditionalOutputs, SessionStats, WebRTCData


class ComponentSessions:
    """The methods of `WebRTC` that find a session by its id."""

    _sessions: SessionManager

    def set_input(self, webrtc_id: str, *args: Any) -> None:
        """Passes new input values to a session; does nothing when there is no such session.

        Parameters:
            webrtc_id: The id of the session.
            args: The values, without that of this component.
        """
        if (session := self._sessions.get(webrtc_id)) is not None:
            session.set_inputs(args)

    def set_additional_outputs(self, webrtc_id: str) -> Callable[[AdditionalOutputs], None]:
        """Returns a function that sends AdditionalOutputs to the page of a session from outside its handler.

        Parameters:
            webrtc_id: The id of the session.
        Returns:
            A function of AdditionalOutputs, for any thread; it does nothing when there is no such session.
        """
        return self._sessions.output_setter(webrtc_id)

    def output_stream(self, webrtc_id: str) -> AsyncIterator[AdditionalOutputs]:
        """Yields the AdditionalOutputs of a session as they come, until it ends. Each goes to one reader, this one or the page.

        Parameters:
            webrtc_id: The id of the session.
        """
        return self._sessions.output_stream(webrtc_id)

    async def fetch_latest_output(self, webrtc_id: str) -> AdditionalOutputs:
        """Returns the oldest AdditionalOutputs of a session that nobody fetched yet; waits ten seconds for one, then raises TimeoutError.

        Parameters:
            webrtc_id: The id of the session.
        """
        return await self._sessions.fetch_output(webrtc_id)

    def say(
        self,
        webrtc_id: str | WebRTCData,
        audio: Any,
        when: Literal["now", "silence"] = "now",
    ) -> Future[float] | None:
        """Plays audio to the user of a session that is no answer, from any thread; see SessionControl.say. A reply under way goes on behind it.

        Parameters:
            webrtc_id: The id of the session, or the value that a function got for this component.
            audio: An item that a handler may emit, such as (rate, array), or a generator of such.
            when: "now", or "silence" for the moment at which nobody speaks and no answer is due.
        Returns:
            A future of the seconds that the user has heard of it, at its end; None when there is no such session.
        """
        session = self._sessions.get(id_of(webrtc_id))
        return None if session is None else session.context.say(audio, when)

    def interrupt(self, webrtc_id: str | WebRTCData) -> None:
        """Ends what is played to the user of a session, from any thread: the reply under way and all announcements. Does nothing when there is no such session.

        Parameters:
            webrtc_id: The id of the session, or the value that a function got for this component.
        """
        if (session := self._sessions.get(id_of(webrtc_id))) is not None:
            session.context.interrupt()

    def close(self, webrtc_id: str | WebRTCData, reason: str = "") -> None:
        """Ends a session from Python, from any thread: the page plays the audio that is on its way, and shows the reason. Does nothing when there is no such session.

        Parameters:
            webrtc_id: The id of the session, or the value that a function got for this component.
            reason: A sentence for the user; may be empty.
        """
        if not isinstance(reason, str):
            raise TypeError(f"expected the reason as text, got {type(reason).__name__}")
        # No result: a function of a page may end with this line, and Gradio would warn of a value.
        self._sessions.end(id_of(webrtc_id), reason)

    async def drain(self, grace_s: float = GRACE_S) -> None:
        """Refuses new sessions at once, and ends those under way: replies may be finished, and every page shows that the server is stopping. Await it on any event loop, or in any other thread with asyncio.run(webrtc.drain()).

        Parameters:
            grace_s: Seconds that replies under way may take.
        """
        await self._sessions.drain(grace_s)

    def stats(self, webrtc_id: str | WebRTCData) -> SessionStats | None:
        """Returns the counters of a session under way, from any thread; None when there is no such session.

        Parameters:
            webrtc_id: The id of the session, or the value that a function got for this component.
        Returns:
            A snapshot: packets, losses, jitter, round trip, drops, interruptions and more.
        """
        return self._sessions.stats(id_of(webrtc_id))

    def update_connection(
        self, webrtc_id: str | WebRTCData, desired_state: Literal["closed"]
    ) -> Done[bool]:
        """Ends a session from Python, from any thread; `close` also sends a reason to the page.

        Parameters:
            webrtc_id: The id of the session, or the value that a function got for this component.
            desired_state: "closed"; a session can be brought to no other state.
        Returns:
            True when there was such a session, else False; it may be awaited, as in fastrtc, and need not be.
        """
        if desired_state != "closed":
            raise ValueError(
                f'expected "closed", got {desired_state!r}: a session can only be ended, with update_connection(webrtc_id, "closed") or close(webrtc_id, reason=\'...\')'
            )
        return Done(self._sessions.end(id_of(webrtc_id), ""))

    @property
    def handlers(self) -> dict[str, StreamHandlerBase]:
        """The handlers of the sessions under way, by the id of the session; from any thread."""
        return self._sessions.handlers()

    @property
    def connections(self) -> dict[str, list[StreamHandlerBase]]:
        """The sessions under way by id, as in fastrtc: ``len`` counts them, ``in`` looks one up."""
        return {name: [handler] for name, handler in self.handlers.items()}
