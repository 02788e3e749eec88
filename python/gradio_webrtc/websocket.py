"""A module of fastrtc whose names are not here: the error of importing one names the substitute.

Imports the advice alone.
"""

import typing

from ._advice import names_elsewhere

if not typing.TYPE_CHECKING:
    __getattr__ = names_elsewhere(__name__)
