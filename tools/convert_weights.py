"""Runs `ava-det convert`: converts published weights into ours, safetensors with the config."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout need not be installed

from ava_det.commands.convert import main

if __name__ == "__main__":
    sys.exit(main())
