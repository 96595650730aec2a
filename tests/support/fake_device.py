"""A hardware decoder in software: frames come in the layout of a device, and changed if wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import av
import numpy as np
import pytest

from ava_det.video import decoding, hardware
from ava_det.video.containers import open_container

Change = Callable[[av.VideoFrame], av.VideoFrame]


class DevicePacket:
    """A packet whose frames a device decodes."""

    def __init__(self, packet: av.Packet, change: Change) -> None:
        self._packet = packet
        self._change = change

    def decode(self) -> list[av.VideoFrame]:
        return [self._change(frame) for frame in self._packet.decode()]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._packet, name)


class DeviceContainer:
    """A file opened on a device."""

    def __init__(self, container: av.container.InputContainer, change: Change) -> None:
        self._container = container
        self._change = change

    def demux(self, *streams: av.VideoStream) -> Iterator[DevicePacket]:
        return (DevicePacket(packet, self._change) for packet in self._container.demux(*streams))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()


def download(frame: av.VideoFrame) -> av.VideoFrame:
    """The frame in the layout of a device, with the tags it had."""
    on_device = frame.reformat(format="nv12")
    on_device.colorspace, on_device.color_range = frame.colorspace, frame.color_range
    return on_device


def shift(levels: int) -> Change:
    """A device whose luma is off by some levels."""

    def change(frame: av.VideoFrame) -> av.VideoFrame:
        moved = download(frame)
        luma = np.frombuffer(moved.planes[0], np.uint8)
        luma += np.uint8(levels)  # 16..235, in place
        return moved

    return change


def install(monkeypatch: pytest.MonkeyPatch, change: Change = download) -> list[Path]:
    """Puts a device into this machine, whatever its kind; returns the files opened on it."""
    opened: list[Path] = []

    def open_on_device(path: Path, hwaccel: str | None = None) -> Any:
        container = open_container(path)
        if hwaccel is None:
            return container
        opened.append(path)
        return DeviceContainer(container, change)

    for module in (decoding, hardware):
        monkeypatch.setattr(module, "open_container", open_on_device)
    monkeypatch.setattr(hardware, "hwdevices_available", lambda: ["cuda", "vaapi", "videotoolbox"])
    monkeypatch.setattr(hardware, "HWAccel", lambda kind: _Accelerator())
    return opened


class _Accelerator:
    def create(self, codec: av.Codec) -> None:
        assert codec.name == "h264"
