"""uvicorn's access log without the POSTs of links, of which each client sends a dozen a second.

Imports no server: loggers are found by their names.
"""

from __future__ import annotations

import logging
from typing import Final

ACCESS_LOG: Final = "uvicorn.access"

LINK: Final = "webrtc/link"
"""The end of the path of a link, in Gradio's app and in any other."""

TAKEN: Final = 204


class WithoutPosts(logging.Filter):
    """Leaves out the POSTs of links that were taken; all that failed stay."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Returns False for a POST that need not be logged."""
        match record.args:
            case (_, "POST", str(path), _, status) if status == TAKEN:
                return not path.partition("?")[0].endswith(LINK)
            case _:
                return True


def leave_posts_out() -> None:
    """Adds the filter to uvicorn's access log, once in a process."""
    log = logging.getLogger(ACCESS_LOG)
    if not any(isinstance(each, WithoutPosts) for each in log.filters):
        log.addFilter(WithoutPosts())
