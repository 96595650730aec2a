"""Defines tables that translate one project's parameter names to ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

Replacement = str | Callable[[re.Match[str]], str]
# (pattern, replacement): the first pattern that matches a whole name wins.
Table = list[tuple[str, Replacement]]
# The replacement of entries that carry no weights, such as momentum.
SKIP = ""


class Source(NamedTuple):
    """Describes how one project names the entries of its networks.

    Attributes:
        mark: A pattern that matches the beginning of one of its names and of no other network's.
        make_table: Makes the table of names, given all names of a file.
        convert: Turns the tensors, under our names, to our layout.
    """

    mark: str
    make_table: Callable[[list[str]], Table]
    convert: Callable[[Mapping[str, Tensor]], dict[str, Tensor]] = dict


def join_parts(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Joins entries whose names end in [0], [1], ..., one after another along the first dimension.

    Some projects keep in several entries what is one of ours.
    """
    joined: dict[str, Tensor] = {}
    parts: dict[str, dict[int, Tensor]] = {}
    for name, tensor in tensors.items():
        if match := re.fullmatch(r"(.+)\[(\d+)\]", name):
            parts.setdefault(match[1], {})[int(match[2])] = tensor
        else:
            joined[name] = tensor
    for name, numbered in parts.items():
        joined[name] = torch.cat([numbered[number] for number in sorted(numbered)])
    return joined
