"""Fills the templates of pages; what comes from data is escaped, files of the package are not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

FOLDER = Path(__file__).parent / "files"


def render_page(template: str, scripts: Sequence[str] = (), **values: Any) -> str:
    """Fills a template of the folder `files`.

    In a template, `{{ file("look.css") | safe }}` puts in a file of the folder as it is, and
    `{{ value | to_json | safe }}` a value as JSON that may stand in a `script` element.

    Args:
        template: Name of the file, such as `report.html`.
        scripts: Files of the folder that the page runs, in this order.
        **values: What the template shows. Text is escaped, but for what the template calls safe.

    Raises:
        jinja2.UndefinedError: The template uses a value that is not given.
    """
    return _environment().get_template(template).render(scripts=scripts, **values)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals["file"] = read_page_file
    environment.filters["to_json"] = _to_json
    return environment


def read_page_file(name: str) -> str:
    """Reads a style or a script of the folder `files`."""
    return (FOLDER / name).read_text(encoding="utf-8")


def _to_json(value: Any) -> str:
    """Formats JSON without `<`: a browser would end the script at a `</script>` within a text."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")
