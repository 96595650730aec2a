"""What a run leaves to be read: a line of JSON per interval, and a progress bar."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any


class JsonLog:
    """Appends one JSON object a line to a file; each line is on disk before `write` returns."""

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def write(self, **values: Any) -> None:
        clean = {key: None if isinstance(v, float) and not math.isfinite(v) else v for key, v in values.items()}
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(clean) + "\n")

    def cut_after(self, epoch: int) -> None:
        """Drops the lines after `epoch` full epochs: a resumed run writes them again."""
        if self.path.exists():
            lines = self.path.read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines if json.loads(line).get("epoch", 0) <= epoch]
            temporary = self.path.with_name(self.path.name + ".tmp")
            temporary.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
            temporary.replace(self.path)
