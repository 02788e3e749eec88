"""aiortc's SCTP association, hardened against a remote peer that breaks the rules.

Received chunks are marked, ordered and assembled here in time that grows with their own size,
within the window that was advertised. Acknowledgements are checked before they cost anything, and
chunks that a client of ours does not need are refused. A peer that goes on beyond the limits loses
the session, with a reason.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, cast

from aiortc import RTCSctpCapabilities, RTCSctpTransport
from aiortc.rtcsctptransport import (
    SCTP_DATA_FIRST_FRAG,
    SCTP_DATA_LAST_FRAG,
    Chunk,
    DataChunk,
    ForwardTsnChunk,
    InitChunk,
    SackChunk,
)

from gradio_webrtc._transport.buckets import TokenBucket

from .channels import ProtocolBreach, check_message
from .chunks import is_in_order
from .dtls import HardenedDtls

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradio_webrtc._limits import Limits

logger = logging.getLogger(__name__)

WINDOW_MESSAGES: Final = 4
"""The number of the largest messages that may be here undelivered: the receive window that we
advertise (RFC 9260 section 3.3.2). By default that is enough for a path of 250 KiB a second and a
second's delay."""

MAX_AHEAD: Final = 256
"""Chunks that may wait for one before them. As many as fill the window at the size of a packet,
and as few as one acknowledgement can name (`MAX_AHEAD` blocks of 4 bytes)."""

MAX_DUPLICATES: Final = 32
"""Chunks that an acknowledgement names as having come twice; the others go unmentioned."""

LEAST_BURST: Final = 100
"""Messages that may come at once, whatever their rate. A client sends a handshake and what its user
types; a network that stood still for a moment delivers them together."""

LEAST_PART_BYTES: Final = 64
"""The least mean size of a message's parts: no client of ours splits a message further."""

CONTROLS_PER_S: Final = 20
CONTROL_BURST: Final = 60
"""Chunks that are neither data nor acknowledge any. Most of them are answered with a packet each;
an association takes four to begin and one a half minute to live (RFC 9260 section 8.3)."""

VISITS_PER_S: Final = 200_000
"""Chunks waiting for an acknowledgement that may be examined when one comes, a second:
about a twentieth of a core, and enough for three megabytes a second with 50 ms of delay."""

SERIAL: Final = 1 << 32
HALF: Final = 1 << 31
"""Numbers of chunks are compared in serial arithmetic (RFC 1982)."""


def ahead(tsn: int, of: int) -> int:
    """Returns the distance of a number ahead of another; negative when it is behind."""
    distance = (tsn - of) % SERIAL
    return distance - SERIAL if distance >= HALF else distance


class HardenedAssociation(RTCSctpTransport):
    """Stands in the place of a connection's association: see `harden`."""

    def harden(self, end: Callable[[str], None], limits: Limits) -> None:
        """Begins. Call it once, before the association starts.

        Args:
            end: Ends the session, with a reason.
            limits: Of messages.
        """
        self._limits = limits
        capabilities = RTCSctpCapabilities(maxMessageSize=limits.message_bytes)
        vars(self)["getCapabilities"] = lambda: capabilities
        self._end_session = end
        self._is_refused = False
        self._ahead: dict[int, DataChunk] = {}
        self._parts: list[DataChunk] = []
        self._parts_bytes = 0
        self._messages = TokenBucket(
            limits.messages_per_s, max(LEAST_BURST, 2 * limits.messages_per_s)
        )
        self._controls = TokenBucket(CONTROLS_PER_S, CONTROL_BURST)
        self._visits = TokenBucket(VISITS_PER_S, VISITS_PER_S)
        self._advertised_rwnd = WINDOW_MESSAGES * limits.message_bytes

    @property
    def unacknowledged(self) -> int:
        """The number of our chunks and messages that the peer has not acknowledged."""
        chunks = len(self._sent_queue) + len(self._outbound_queue)
        return chunks + len(self._data_channel_queue)

    async def _handle_data(self, data: bytes) -> None:
        """Takes a packet, if all of it is in order."""
        if isinstance(self.transport, HardenedDtls):
            self.transport.authentic.note()
        if not is_in_order(data):
            return
        try:
            await super()._handle_data(data)
        except ProtocolBreach as error:
            self._refuse(str(error))
        except Exception as error:  # of any kind, from aiortc's assertions
            logger.debug("aiortc failed at a packet of SCTP", exc_info=error)
            self._refuse("The connection was closed: its messages broke the rules of SCTP.")

    async def _send_chunk(self, chunk: Chunk) -> None:
        """Sends a chunk; without a connection it is lost, as it may be on its way.

        aiortc's timers send in tasks whose exceptions nobody retrieves.
        """
        try:
            await super()._send_chunk(chunk)
        except ConnectionError:
            logger.debug("a chunk of SCTP was sent after the end of its connection")

    def _refuse(self, reason: str) -> None:
        if not self._is_refused:
            self._is_refused = True
            self._ahead.clear()
            self._parts.clear()
            self._sack_misordered.clear()
            self._end_session(reason)

    async def _receive_chunk(self, chunk: Chunk) -> None:
        # Our goodbye is still to be acknowledged.
        if self._is_refused and not isinstance(chunk, SackChunk):
            return
        begun = self._last_received_tsn is not None
        if isinstance(chunk, DataChunk | ForwardTsnChunk | SackChunk):
            if begun:
                await super()._receive_chunk(chunk)
            return
        # No client restarts an association; an INIT that comes late is answered already.
        is_restart = isinstance(chunk, InitChunk) and (
            self._association_state == self.State.ESTABLISHED
        )
        if not is_restart and self._controls.take():
            await super()._receive_chunk(chunk)

    # ---------------------------------------------------------------- acknowledgements

    async def _receive_sack_chunk(self, chunk: SackChunk) -> None:
        """Takes an acknowledgement of chunks that were sent; any other is dropped."""
        if self._acknowledges_sent(chunk) and self._visits.take(1 + len(self._sent_queue)):
            await super()._receive_sack_chunk(chunk)

    def _acknowledges_sent(self, chunk: SackChunk) -> bool:
        """True if all of it was sent, and the blocks rise and do not overlap (RFC 9260 3.3.4)."""
        newest = self._sent_queue[-1].tsn if self._sent_queue else self._last_sacked_tsn
        beyond = ahead(newest, chunk.cumulative_tsn)
        if beyond < 0:
            return False
        last = 0
        for begin, end in chunk.gaps:
            if not last < begin <= end <= beyond:
                return False
            last = end
        return True

    # ---------------------------------------------------------------- data

    async def _receive_data_chunk(self, chunk: DataChunk) -> None:
        """Takes a chunk of a message, and what waited for it."""
        self._sack_needed = True
        distance = self._distance(chunk.tsn)
        if distance <= 0 or chunk.tsn in self._ahead:
            if len(self._sack_duplicates) < MAX_DUPLICATES:
                self._sack_duplicates.append(chunk.tsn)
            return
        if distance > 1:
            self._keep(chunk)
            return
        await self._advance(chunk)
        await self._go_on()

    def _distance(self, tsn: int) -> int:
        return ahead(tsn, self._last_received())

    def _keep(self, chunk: DataChunk) -> None:
        """Keeps a chunk that came before its turn; without room it will have to come again."""
        size = len(chunk.user_data)
        # The missing chunks must find room, whatever waits for them.
        room = self._advertised_rwnd - self._limits.message_bytes
        if len(self._ahead) >= MAX_AHEAD or size > room:
            return
        self._ahead[chunk.tsn] = chunk
        self._sack_misordered.add(chunk.tsn)
        self._advertised_rwnd -= size

    async def _go_on(self) -> None:
        """Takes the chunks whose turn it is now."""
        while True:
            chunk = self._ahead.pop(self._next_tsn(), None)
            if chunk is None:
                break
            self._sack_misordered.discard(chunk.tsn)
            self._advertised_rwnd += len(chunk.user_data)
            await self._advance(chunk)
        await self._reset_deferred_streams()

    def _next_tsn(self) -> int:
        return (self._last_received() + 1) % SERIAL

    def _last_received(self) -> int:
        # Chunks of data are taken only once INIT has set it.
        return cast("int", self._last_received_tsn)

    async def _advance(self, chunk: DataChunk) -> None:
        """Adds the next chunk to the message that it is of.

        The chunks of a message are numbered one after the other, and nothing comes in between (RFC
        9260 section 6.9): in the order of their numbers there is one unfinished message at most.
        """
        self._last_received_tsn = chunk.tsn
        if chunk.flags & SCTP_DATA_FIRST_FRAG:
            self._drop_parts()
        elif not self._parts:
            return  # its beginning was given up by the sender
        self._parts.append(chunk)
        self._parts_bytes += len(chunk.user_data)
        self._advertised_rwnd -= len(chunk.user_data)
        most = self._limits.message_bytes
        if self._parts_bytes > most or len(self._parts) > most // LEAST_PART_BYTES:
            raise ProtocolBreach(
                f"The connection was closed: a message was larger than {most} bytes."
            )
        if chunk.flags & SCTP_DATA_LAST_FRAG:
            data = b"".join(part.user_data for part in self._parts)
            self._drop_parts()
            await self._receive(chunk.stream_id, chunk.protocol, data)

    def _drop_parts(self) -> None:
        self._advertised_rwnd += self._parts_bytes
        self._parts = []
        self._parts_bytes = 0

    async def _receive_forward_tsn_chunk(self, chunk: ForwardTsnChunk) -> None:
        """Gives up what the sender gave up (RFC 3758 section 3.6), and takes what is left."""
        self._sack_needed = True
        if self._distance(chunk.cumulative_tsn) <= 0:
            return
        for tsn in sorted(self._ahead, key=self._distance):
            if ahead(tsn, chunk.cumulative_tsn) > 0:
                break
            kept = self._ahead.pop(tsn)
            self._sack_misordered.discard(tsn)
            self._advertised_rwnd += len(kept.user_data)
            await self._skip_to(kept)
        if self._distance(chunk.cumulative_tsn) > 0:
            self._drop_parts()
            self._last_received_tsn = chunk.cumulative_tsn
        await self._go_on()

    async def _skip_to(self, chunk: DataChunk) -> None:
        """Takes a chunk after others of its message that will not come."""
        if self._distance(chunk.tsn) > 1:
            self._drop_parts()
        await self._advance(chunk)

    # ---------------------------------------------------------------- messages

    async def _data_channel_receive(self, stream_id: int, pp_id: int, data: bytes) -> None:
        """Takes a message, if a client of ours could have sent it."""
        if not self._messages.take():
            most = self._limits.messages_per_s
            raise ProtocolBreach(f"The connection was closed: more than {most} messages a second.")
        if check_message(self._data_channels, stream_id, pp_id, data):
            await super()._data_channel_receive(stream_id, pp_id, data)
