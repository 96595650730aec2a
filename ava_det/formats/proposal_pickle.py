"""Reads person boxes in a pickle, as MMAction2 and ACAR-Net publish them; see box_lists.py."""

from __future__ import annotations

import pickle
from pathlib import Path

from ava_det.files.safe_pickle import describe_unpickling, load_arrays
from ava_det.formats.ava_csv import AvaRows
from ava_det.formats.box_lists import rows_of_content


def is_pickle(path: Path) -> bool:
    """Returns whether a box file is a pickle; a CSV of boxes never begins like one.

    Pickles of protocols 0 and 1 are recognized by their suffix.
    """
    with path.open("rb") as file:
        return file.read(1) == pickle.PROTO or path.suffix.lower() in (".pkl", ".pickle")


def load_proposals(path: str | Path) -> AvaRows:
    """Reads one row for each box, in the order of the file; nothing in the file is executed.

    Returns:
        Rows without action ids; column 8 is the score.

    Raises:
        ValueError: The content is of another form; the sentence names the key.
    """
    try:
        content = load_arrays(path)
    except Exception as error:  # damaged bytes surface as almost any exception of the unpickler
        raise ValueError(f"{path}: {describe_unpickling(error)}") from None
    return rows_of_content(path, content)
