"""Links that their sessions have ended a moment ago, for clients that did not get the end.

A connection may die without a sign, and what was written to it last, the reason of the end, with
it. Its client notices that some seconds later and comes back. Runs on the event loop.
"""

from __future__ import annotations

import asyncio
import hmac
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

from gradio_webrtc.errors import SessionUnknown

if TYPE_CHECKING:
    from gradio_webrtc._session.origins import Site
    from gradio_webrtc._transport import LinkTransport

KEPT_S: Final = 16.0
"""The time for which a link is kept. A client takes a carrier for dead after 13 s of silence at the
latest, or 4 s after it has sent something, and opens another within 1.5 s."""

MOST_LINKS: Final = 64
MOST_BYTES: Final = 64 * 1024
"""Links that are kept at once, and bytes of messages in one: a client that lacks more was away
before the end."""


class _Ended(NamedTuple):
    """A link that is over, and what its client proves itself with."""

    secret: str
    link: LinkTransport
    site: Site


class EndedLinks:
    """The links that ended last."""

    def __init__(self) -> None:
        self._links: OrderedDict[str, _Ended] = OrderedDict()

    def __len__(self) -> int:
        return len(self._links)

    def keep(self, session: str, site: Site, link: LinkTransport) -> None:
        """Keeps a link for `KEPT_S`, unless too much waits in it; of too many, the oldest goes.

        Args:
            session: The id and the secret of the session, as carriers name it.
            site: The site that it belongs to.
            link: The link, which is over.
        """
        if link.bytes_waiting > MOST_BYTES:
            return
        webrtc_id, _, secret = session.partition(".")
        self._links[webrtc_id] = _Ended(secret, link, site)
        if len(self._links) > MOST_LINKS:
            self._links.popitem(last=False)
        asyncio.get_running_loop().call_later(KEPT_S, self._links.pop, webrtc_id, None)

    def has(self, session: str) -> bool:
        """True if the link of this session is kept."""
        try:
            self.find(session)
        except SessionUnknown:
            return False
        return True

    def find(self, session: str) -> tuple[LinkTransport, Site]:
        """Returns a link that is kept, and its site.

        Raises:
            SessionUnknown: There is none, or the secret is another.
        """
        webrtc_id, _, secret = session.partition(".")
        ended = self._links.get(webrtc_id)
        if ended is None or not hmac.compare_digest(ended.secret.encode(), secret.encode()):
            raise SessionUnknown
        return ended.link, ended.site
