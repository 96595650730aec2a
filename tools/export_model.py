"""Runs `ava-det export`: writes a trained network for onnxruntime or OpenVINO."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout need not be installed

from ava_det.commands.export import main

if __name__ == "__main__":
    sys.exit(main())
