"""The frames of a link: whatever comes in, frames or an error that names it come out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradio_webrtc._transport.link.frames import (
    ACK,
    FROM_CLIENTS,
    HEADER,
    MAX_LENGTH,
    MAX_MS,
    NUMBERED,
    Frame,
    FrameError,
    FrameKind,
    read_ack,
    read_frames,
    write_ack,
    write_frame,
)

KINDS = sorted(FROM_CLIENTS)
FRAMES = st.builds(
    lambda kind, number, payload: Frame(kind, number if kind in NUMBERED else 0, payload),
    st.sampled_from(KINDS),
    st.integers(1, 2**32 - 1),
    st.binary(max_size=300),
)


def wire(frame: Frame) -> bytes:
    return write_frame(frame.kind, frame.number, frame.payload)


@given(st.lists(FRAMES, max_size=8))
def test_frames_come_out_as_they_went_in(frames: list[Frame]) -> None:
    assert list(read_frames(b"".join(map(wire, frames)))) == frames


@given(st.binary(max_size=400))
def test_any_bytes_are_frames_or_an_error(data: bytes) -> None:
    try:
        frames = list(read_frames(data))
    except FrameError:
        return
    assert b"".join(map(wire, frames)) == data


@given(st.lists(FRAMES, min_size=1, max_size=4), st.integers(1, 8))
def test_of_a_message_that_is_cut_the_whole_frames_are_read(
    frames: list[Frame], missing: int
) -> None:
    reading = read_frames(b"".join(map(wire, frames))[:-missing])
    read: list[Frame] = []
    with pytest.raises(FrameError):
        read.extend(iter(reading))
    assert read == frames[: len(read)]


@pytest.mark.parametrize("length", [0, 4, MAX_LENGTH + 1, 2**31, 2**32 - 1])
def test_absurd_lengths_are_refused_before_they_cost_anything(length: int) -> None:
    header = HEADER.pack(length, FrameKind.TEXT, 1)
    with pytest.raises(FrameError, match="a frame of the length"):
        list(read_frames(header + bytes(100)))


@pytest.mark.parametrize("kind", [0, 1, 5, 8, 10, 255])
def test_kinds_that_clients_do_not_send_are_refused(kind: int) -> None:
    with pytest.raises(FrameError, match=f"of the kind {kind}"):
        list(read_frames(HEADER.pack(5, kind, 0)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_numbers_or_has_none(kind: FrameKind) -> None:
    number = 0 if kind in NUMBERED else 1
    with pytest.raises(FrameError, match="with the number"):
        list(read_frames(HEADER.pack(5, kind, number)))


def test_an_acknowledgment_names_a_frame_and_the_time_since_then() -> None:
    (frame,) = read_frames(write_ack(7, 0.25))
    assert frame.kind == FrameKind.ACK
    assert read_ack(frame.payload) == (7, 0.25)


@pytest.mark.parametrize(("held_s", "held_ms"), [(-1.0, 0), (1e9, MAX_MS)])
def test_a_time_beyond_what_fits_is_the_nearest_that_does(held_s: float, held_ms: int) -> None:
    (frame,) = read_frames(write_ack(7, held_s))
    assert ACK.unpack(frame.payload) == (7, held_ms)


@pytest.mark.parametrize("payload", [b"", b"1234", b"123456789"])
def test_an_acknowledgment_of_another_length_is_none(payload: bytes) -> None:
    with pytest.raises(FrameError, match="expected 8 bytes"):
        read_ack(payload)
