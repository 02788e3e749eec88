"""What calls in mode "receive" run on: one generator of the user's, from its start to its end."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from gradio_webrtc._turns.runner import FINISHED, GeneratorRunner
from gradio_webrtc._workers.user_code import describe_callable, never_blocks
from gradio_webrtc._workers.watchdog import Expect
from gradio_webrtc._workers.workers import Worker
from gradio_webrtc.types import CloseStream

from .signatures import Callee
from .stream_handler import AsyncStreamHandler

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gradio_webrtc._turns.runner import Step
    from gradio_webrtc.types import AudioFrame, EmitType, SessionHandle

RELEASE_S: Final = 1.0
"""How long the end of a run waits for the user's code to clean up: the time in which a process is
expected to end. What takes longer goes on by itself."""

_logger = logging.getLogger(__name__)


class Performance:
    """One run of a user's function, item by item. Every method is called on the event loop.

    Args:
        fn: A generator function, sync or async; a plain function gives one item.
        args: What it is called with.
        call: Told of what it raises.
        worker: Where it runs when it blocks.
    """

    def __init__(
        self, fn: Callable[..., Any], args: Sequence[object], call: SessionHandle, worker: Worker
    ) -> None:
        self._label = describe_callable(fn)
        self._call = call
        self._runner = GeneratorRunner(*Callee(fn, call.webrtc_id).bind(*args), worker)

    async def step(self) -> Step:
        """The next item; `FINISHED` after the last, and after an error, which is reported."""
        try:
            return await self._runner.step()
        except Exception as error:  # noqa: BLE001 - this is where the user's code meets ours
            self._call.report(error)
            return FINISHED

    async def close(self) -> None:
        """Ends the run; waits no longer than `RELEASE_S` for code that blocks."""
        try:
            async with asyncio.timeout(RELEASE_S):
                await self._runner.close()
        except TimeoutError:
            _logger.debug("%s is left to return by itself", self._label)
        except Exception as error:  # noqa: BLE001 - the user's clean-up
            self._call.report(error)


class Programme:
    """The one performance of a call in mode "receive", and the thread that it runs in.

    Args:
        fn: Called once, when the first item is asked for.
    """

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.fn = fn
        self._worker: Worker | None = None
        self._performance: Performance | None = None

    async def next(self, call: SessionHandle, args: Sequence[object]) -> Any:
        """The next item, and after the last one the end of the call."""
        if self._performance is None:
            self._worker = Worker(f"play-{call.webrtc_id[:8]}", expect=Expect.IDLE)
            self._performance = Performance(self.fn, args, call, self._worker)
        item = await self._performance.step()
        # Without a reason: that a stream has come to its end is nothing to explain.
        return CloseStream("") if item is FINISHED else item

    async def close(self) -> None:
        """Lets the user's code clean up, and ends the thread."""
        if self._performance is not None and self._worker is not None:
            await self._performance.close()
            self._worker.close()


class AudioGenerator(AsyncStreamHandler):
    """Speaks what a user's function yields, and ends the call with it.

    Args:
        fn: Called once, with the values of the inputs.
    """

    def __init__(self, fn: Callable[..., Any]) -> None:
        super().__init__()
        self.fn = fn
        self._programme = Programme(fn)

    @never_blocks
    def copy(self) -> AudioGenerator:
        """One for another call."""
        return AudioGenerator(self.fn)

    async def receive(self, frame: AudioFrame) -> None:
        """Nobody is heard in mode "receive"."""

    @never_blocks
    async def emit(self) -> EmitType:
        """The next item. The session asks for the first when the inputs have come."""
        item: EmitType = await self._programme.next(self._bound_session, self.latest_args[1:])
        return item

    async def release(self) -> None:
        """Lets the user's code clean up."""
        await super().release()
        await self._programme.close()
