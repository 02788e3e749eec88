"""The values of input components before anybody has changed them, for clients without a page.

A page would send them; a client of WHIP or WHEP has none. Runs on the event loop.
"""

from __future__ import annotations

import copy
import logging
from typing import TYPE_CHECKING, Any

import gradio as gr

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gradio.components.base import Component

logger = logging.getLogger(__name__)


def default_inputs(components: Iterable[Component]) -> list[Any]:
    """Returns the default value of each component, read as the function of an event would get it.

    The values are new ones every time, since a session may change its own. ``None`` stands for no
    value, as of a text field that was given none, and for one that the component itself cannot
    read, with a line in the log.
    """
    return [_default_of(each) for each in components]


def _default_of(component: Any) -> Any:
    try:
        value = copy.deepcopy(component.value)
        if isinstance(component, gr.State):
            return value
        if value is not None and getattr(component, "data_model", None) is not None:
            value = component.data_model.model_validate(value)
        return component.preprocess(value)
    except Exception:  # of any kind: the component may be anybody's
        logger.exception(
            "cannot read the default value of the input %r: clients without a page get None",
            component.label,
        )
        return None
