"""What a run leaves to be read: a line of JSON per interval, and a progress bar."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from ava_det.files import atomic_path


class JsonLog:
    """Appends one JSON object a line to a file; each line is on disk before `write` returns."""

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def write(self, **values: Any) -> None:
        clean = {key: None if isinstance(v, float) and not math.isfinite(v) else v for key, v in values.items()}
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(clean) + "\n")

    def cut_after(self, epoch: int) -> None:
        """Drops the lines after `epoch` full epochs, which a resumed run writes again, and a last line cut short."""
        kept = []
        for line in self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []:
            try:
                if json.loads(line).get("epoch", 0) <= epoch:
                    kept.append(line + "\n")
            except json.JSONDecodeError:
                continue  # a crash in the middle of a line
        with atomic_path(self.path) as temporary:
            Path(temporary).write_text("".join(kept), encoding="utf-8")
