"""Packs evaluator cases into the two asset files that tests/evaluation/test_cases.py reads.

    python tests/assets/evaluator_cases/pack.py CASES

CASES is the folder of cases (`tiny/*/` and `s*/`, each with gt.csv, det.csv, excluded.csv,
labelmap.pbtxt, plain or gzipped, and expected.json with what the five published evaluators said of
them). The tiny cases go into `tiny.json`, where a reader can see them; of the random ones
`random.json.gz` takes those in RANDOM, one for each difficulty.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

RANDOM = (
    "s03_ties2dec",
    "s05_invalid_boxes",
    "s07_float_timestamps",
    "s08_excluded20pct",
    "s11_shuffled_rows",
)
NAMES = {
    "official_2020": "activitynet-2020",
    "official_2019": "activitynet-2019",
    "official_2018": "activitynet-2018",
    "pyslowfast": "pyslowfast",
    "mmaction2": "mmaction2",
}
FILES = ("gt.csv", "det.csv", "excluded.csv", "labelmap.pbtxt")


def main() -> None:
    cases = Path(sys.argv[1])
    here = Path(__file__).parent
    tiny = {folder.name: pack(folder) for folder in sorted((cases / "tiny").iterdir())}
    (here / "tiny.json").write_text(
        json.dumps(tiny, indent=1, ensure_ascii=True) + "\n", encoding="utf-8"
    )
    random = {name: pack(cases / name) for name in RANDOM}
    with (
        open(here / "random.json.gz", "wb") as file,
        gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as zipped,
    ):
        zipped.write(json.dumps(random).encode())


def pack(folder: Path) -> dict[str, Any]:
    """{"files": {name: text}, "expected": {protocol: {...}}, "tie_bounds": {...} where given}."""
    recorded = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    case: dict[str, Any] = {"files": {name: read(folder / name) for name in FILES}}
    case["expected"] = {ours: thin(recorded[theirs]) for theirs, ours in NAMES.items()}
    if "tie_bounds" in recorded:
        bounds = recorded["tie_bounds"]
        case["tie_bounds"] = {
            ours: {end: thin(bounds[theirs][end]) for end in ("lo", "hi")}
            for theirs, ours in NAMES.items()
            if theirs in bounds
        }
    return case


def thin(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in entry.items()
        if key in ("error", "mAP", "ap", "num_gt", "n_det")
    }


def read(path: Path) -> str:
    zipped = path.with_name(path.name + ".gz")
    data = gzip.decompress(zipped.read_bytes()) if zipped.exists() else path.read_bytes()
    return data.decode("utf-8")


if __name__ == "__main__":
    main()
