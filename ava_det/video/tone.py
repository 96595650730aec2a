"""Maps high dynamic range to the standard range: PQ and HLG videos (BT.2100) for ordinary screens.

Light is computed by BT.2100 (HLG as a display of 1000 cd/m2 shows it). Its largest component is
compressed by the curve of BT.2390 (section 5.4.1) from a peak of 1000 cd/m2 to the 203 cd/m2 that
BT.2408 gives to white; the other two keep their ratio to it. The result, in the colors of BT.709,
is coded for a display of gamma 2.4 (BT.1886). Blacks, skin and paper white stay what they were;
highlights are compressed rather than cut.
"""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path
from threading import Lock

import av
import numpy as np

PQ = 16
HLG = 18
HDR_NAMES = {PQ: "PQ", HLG: "HLG"}
PEAK = 1000.0
WHITE = 203.0
# points of the table along each color; interpolation is off by half a level of 255 on average
LATTICE = 49

_M1 = 1305 / 8192
_M2 = 2523 / 32
_C1 = 107 / 128
_C2 = 2413 / 128
_C3 = 2392 / 128
_A = 0.17883277
_B = 0.28466892
_C = 0.55991073
_LUMA_2020 = np.array([0.2627, 0.6780, 0.0593])
_TO_BT709 = np.array(  # from linear light of BT.2020 (BT.2087)
    [
        [1.660491, -0.587641, -0.072850],
        [-0.124550, 1.132900, -0.008349],
        [-0.018151, -0.100579, 1.118730],
    ]
)


def is_hdr(frame: av.VideoFrame) -> bool:
    """Returns whether a frame is tagged as PQ or HLG."""
    return frame.color_trc in HDR_NAMES


class ToneMapper:
    """Maps HDR frames to the standard range; threads may share one."""

    def __init__(self) -> None:
        self._graphs: dict[tuple[int, int, str, int], av.filter.Graph] = {}
        self._lock = Lock()

    def __call__(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Returns the frame as yuv420p, BT.709, limited range, with the same size and rotation."""
        key = frame.width, frame.height, frame.format.name, frame.color_trc
        with self._lock:
            if key not in self._graphs:
                self._graphs[key] = _build_graph(frame)
            graph = self._graphs[key]
            graph.vpush(frame)
            return graph.vpull()


def _build_graph(frame: av.VideoFrame) -> av.filter.Graph:
    """Builds a filter graph that maps frames by a table.

    FFmpeg's interpolation takes a third of the time of the formula; in float it is fastest.
    """
    graph = av.filter.Graph()
    graph.threads = 1  # as the decoder
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "table.cube"
        table.write_text(_write_table(frame.color_trc), encoding="ascii")
        steps = [
            graph.add_buffer(
                width=frame.width,
                height=frame.height,
                format=frame.format,
                time_base=frame.time_base,
            ),
            graph.add("scale", in_color_matrix="bt2020"),
            graph.add("format", pix_fmts="gbrpf32le"),
            graph.add("lut3d", file=str(table)),
            graph.add("scale", out_color_matrix="bt709", out_range="tv"),
            graph.add("format", pix_fmts="yuv420p"),
            graph.add(
                "setparams",
                colorspace="bt709",
                color_primaries="bt709",
                color_trc="bt709",
                range="tv",
            ),
            graph.add("buffersink"),
        ]
        graph.link_nodes(*steps).configure()
    return graph


@lru_cache(maxsize=2)
def _write_table(transfer: int) -> str:
    """Returns the table as the text of a .cube file, in which red changes fastest."""
    points = np.linspace(0, 1, LATTICE)
    blue, green, red = np.meshgrid(points, points, points, indexing="ij")
    colors = map_tones(np.stack((red, green, blue), axis=-1), transfer).reshape(-1, 3)
    rows = "\n".join(f"{r:.6f} {g:.6f} {b:.6f}" for r, g, b in colors.tolist())
    return f"LUT_3D_SIZE {LATTICE}\n{rows}\n"


def map_tones(colors: np.ndarray, transfer: int) -> np.ndarray:
    """Maps coded HDR colors to coded colors of the standard range.

    Args:
        colors: RGB [..., 3] of BT.2020 in 0..1, coded by `transfer`.
        transfer: PQ or HLG.

    Returns:
        RGB [..., 3] of BT.709 in 0..1, coded for BT.1886.
    """
    light = np.minimum(_decode_pq(colors) if transfer == PQ else _decode_hlg(colors), PEAK)
    brightest = np.maximum(light.max(axis=-1, keepdims=True), 1e-6)
    light = light * (_compress(brightest) / brightest) / WHITE
    coded: np.ndarray = np.clip(light @ _TO_BT709.T, 0, 1) ** (1 / 2.4)
    return coded


def _decode_pq(coded: np.ndarray) -> np.ndarray:
    """Converts PQ values in 0..1 to cd/m2."""
    power = np.power(coded, 1 / _M2)
    light: np.ndarray = 10_000 * np.power(np.maximum(power - _C1, 0) / (_C2 - _C3 * power), 1 / _M1)
    return light


def _code_pq(light: np.ndarray | float) -> np.ndarray:
    """Converts cd/m2 to PQ values in 0..1."""
    power = np.power(np.asarray(light) / 10_000, _M1)
    return np.power((_C1 + _C2 * power) / (1 + _C3 * power), _M2)


def _decode_hlg(coded: np.ndarray) -> np.ndarray:
    """Converts HLG values in 0..1 to the cd/m2 that a display of 1000 cd/m2 shows."""
    scene = np.where(coded <= 0.5, coded**2 / 3, (np.exp((coded - _C) / _A) + _B) / 12)
    luminance = np.maximum(scene @ _LUMA_2020, 1e-9)[..., None]
    light: np.ndarray = PEAK * luminance**0.2 * scene
    return light


def _compress(light: np.ndarray) -> np.ndarray:
    """Compresses cd/m2 up to PEAK to cd/m2 up to WHITE by BT.2390's curve.

    The curve is a straight line, and above its knee a Hermite spline.
    """
    top = _code_pq(PEAK)
    value = _code_pq(light) / top
    limit = _code_pq(WHITE) / top
    knee = 1.5 * limit - 0.5
    t = np.maximum(value - knee, 0) / (1 - knee)
    spline = (
        (2 * t**3 - 3 * t**2 + 1) * knee
        + (t**3 - 2 * t**2 + t) * (1 - knee)
        + (-2 * t**3 + 3 * t**2) * limit
    )
    return _decode_pq(np.where(value < knee, value, spline) * top)
