"""Private names of aiortc's that the defences lean on, and whether they are still there.

aiortc promises none of them. pyproject.toml therefore bounds its version, and a contract test reads
its source; this probe is for whoever installs another version all the same.
"""

from __future__ import annotations

import importlib.metadata
import logging
from typing import Any, Final, TypeVar

logger = logging.getLogger(__name__)

Held = TypeVar("Held")

SCTP: Final = (
    "_advertised_rwnd",
    "_association_state",
    "_data_channel_receive",
    "_data_channels",
    "_handle_data",
    "_last_received_tsn",
    "_last_sacked_tsn",
    "_outbound_queue",
    "_receive",
    "_receive_chunk",
    "_receive_data_chunk",
    "_receive_forward_tsn_chunk",
    "_receive_sack_chunk",
    "_reset_deferred_streams",
    "_sack_duplicates",
    "_sack_misordered",
    "_sack_needed",
    "_sent_queue",
)
"""Of an association, as of aiortc 1.16."""

_reported: set[str] = set()


def become(
    thing: object, kind: type[Held], names: tuple[str, ...], unprotected: str
) -> Held | None:
    """Has an object of aiortc's be one of ours, which overrides what it believes too readily.

    aiortc makes its objects itself, and has no place to hand it others. To change the class of one
    leaves those of other programs alone, costs no call a packet and makes no cycle of references.

    Args:
        thing: An object of aiortc's.
        kind: A subclass of its class, with no slots and no constructor of its own.
        names: The private names that ``kind`` needs ``thing`` to have.
        unprotected: What stays open without, for the log.

    Returns:
        The object; ``None`` if it does not look as expected, which is logged once.
    """
    if looks_as_expected(thing, kind, names):
        held: Any = thing
        held.__class__ = kind
        return held  # type: ignore[no-any-return]
    if unprotected not in _reported:
        _reported.add(unprotected)
        logger.warning(
            "aiortc %s is not built as the versions that this package knows, so that calls are not "
            "protected from %s: install a version that the package asks for",
            importlib.metadata.version("aiortc"),
            unprotected,
        )
    return None


def looks_as_expected(thing: object, kind: type, names: tuple[str, ...]) -> bool:
    """Whether a thing is of the class that ``kind`` is made from, and has all of the names."""
    return type(thing) is kind.__base__ and all(hasattr(thing, name) for name in names)
