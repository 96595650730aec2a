"""What a table of names is made of, for the files that hold one project's names each."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

Replacement = str | Callable[[re.Match[str]], str]
# (pattern, replacement): the first pattern that matches a whole name wins.
Table = list[tuple[str, Replacement]]
# The replacement of entries that carry no weights, such as momentum.
SKIP = ""


class Source(NamedTuple):
    """Describes how one project names the entries of its networks.

    Attributes:
        mark: A pattern that matches the beginning of one of its names and of nobody else's.
        make_table: Makes the table of names, given all names of a file.
    """

    mark: str
    make_table: Callable[[list[str]], Table]
