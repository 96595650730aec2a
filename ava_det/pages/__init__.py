"""Makes self-contained HTML pages from the templates, styles and scripts in its folder `files`."""

from ava_det.pages.pictures import encode_jpeg
from ava_det.pages.render import read_page_file, render_page

__all__ = ["encode_jpeg", "read_page_file", "render_page"]
