"""Writes a trained network as a file for onnxruntime or OpenVINO, once its outputs are found equal
to the network's.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout need not be installed

from ava_det.commands.export import main

if __name__ == "__main__":
    sys.exit(main())
