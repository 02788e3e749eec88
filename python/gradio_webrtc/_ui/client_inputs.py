"""The input values of clients of routes, checked by the components of a `Stream`.

A client of a route may set what a page of the stream's could: a value for each of its additional
inputs, which the component itself checks, as it checks those of a page. Runs on the event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradio_webrtc._session.client_inputs import InputsRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradio.components.base import Component

    from gradio_webrtc._session.client_inputs import ReadInputs


def input_reader(components: Sequence[Component]) -> ReadInputs:
    """Returns a function that reads the values for these components.

    Args:
        components: The additional inputs of a stream, in their order. Without any, a client can
            only state that it has no values, which starts a handler that waits for them.
    """

    def read(values: object) -> Sequence[Any] | None:
        if not isinstance(values, list) or len(values) != len(components):
            raise InputsRefused(
                f"expected a list of {len(components)} values, one for each of the stream's "
                f"additional_inputs, got {_outline(values)}"
            )
        pairs = enumerate(zip(components, values, strict=True), 1)
        return [_read(component, value, number) for number, (component, value) in pairs] or None

    return read


def _read(component: Component, value: object, number: int) -> Any:
    kind = type(component).__name__
    # Their values name files of the server, or stay there: Gradio checks them for its own pages.
    if component.stateful or component.data_model is not None:
        raise InputsRefused(
            f"input {number} is of the kind {kind}, whose values no client can send: pass them in "
            "Python, with stream.set_input(webrtc_id, ...)"
        )
    try:
        return component.preprocess(value)
    except Exception as error:
        # Gradio's own errors are for users; the others have texts of Python's.
        reason = f": {error.message}" if hasattr(error, "message") else ""
        raise InputsRefused(f"{kind}, input {number}, refuses this value{reason}") from error


def _outline(values: object) -> str:
    return f"{len(values)} values" if isinstance(values, list) else type(values).__name__
