"""Files that a page requests, under the address at which it finds them.

Runs where the interface is built, and where Gradio sends its configuration to a page. Imports no
session and no transport.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from gradio import processing_utils

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradio.blocks import Block

SCHEMES: Final = frozenset({"http", "https", "data"})
"""The schemes of addresses that a page can use as they are; those of ``data`` need no request."""


class ServedFile(MutableMapping[str, Any]):
    """A file of Gradio's that stands for its address: text in JSON, a file to Gradio itself.

    The address of an app is known only from the request for a page: it may be below a path, or
    behind a proxy that takes one off. Gradio then puts it before the ``url`` of all files among a
    component's properties, and recognises files as dicts with certain keys. The page, however,
    expects an address. Gradio's JSON encoder makes one of this object, with ``str()``.

    Args:
        file: Gradio's description of the file, with a ``url``.
    """

    def __init__(self, file: Mapping[str, Any]) -> None:
        self._file = dict(file)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        # For `isinstance`, by which Gradio recognises files. JSON would write a real dict as one.
        return dict

    def __getitem__(self, name: str) -> Any:
        return self._file[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._file[name] = value

    def __delitem__(self, name: str) -> None:
        del self._file[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._file)

    def __len__(self) -> int:
        return len(self._file)

    def __str__(self) -> str:
        return str(self._file["url"])

    def __copy__(self) -> ServedFile:
        return ServedFile(self._file)

    def __deepcopy__(self, _memo: object) -> ServedFile:
        return ServedFile(self._file)


def serve_icon(icon: str | Path | Mapping[str, Any] | None, block: Block) -> Any:
    """Returns the icon as it stands among the properties of a component.

    Args:
        icon: A path, an address that begins with http:, https: or data:, or an earlier result.
        block: The component.

    Raises:
        FileNotFoundError: There is no such file.
        TypeError: It is none of these.
    """
    if icon is None or isinstance(icon, ServedFile):
        return icon
    if isinstance(icon, Mapping) and isinstance(icon.get("url"), str):
        return ServedFile(icon)
    if not isinstance(icon, (str, Path)):
        raise TypeError(f"icon must be the path of an image, or its URL; got {type(icon).__name__}")
    if isinstance(icon, str) and urlsplit(icon).scheme.lower() in SCHEMES:
        return icon
    if not Path(icon).is_file():
        raise FileNotFoundError(
            f"icon={str(icon)!r}: there is no such file in {Path.cwd()}. Give the path of "
            "an image, or a URL that begins with https:, http: or data:"
        )
    data = {"path": str(icon), "meta": {"_type": "gradio.FileData"}}
    # As Gradio serves the value of its own Image: for as long as the program runs.
    file = processing_utils.move_files_to_cache(data, block, postprocess=True, keep_in_cache=True)
    return ServedFile(file)
