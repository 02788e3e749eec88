"""A module of fastrtc whose names are not here: importing one raises with advice."""

import typing

from ._advice import names_elsewhere

if not typing.TYPE_CHECKING:
    __getattr__ = names_elsewhere(__name__)
