# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Sphinx configuration."""

from __future__ import annotations

import re
from importlib.metadata import version as _version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "monai_genaug"
author = "monai_genaug contributors"
project_copyright = author
release = version = _version("monai-genaug")

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "html_image"]
myst_heading_anchors = 3

html_theme = "pydata_sphinx_theme"
html_title = f"monai_genaug {release}"
html_theme_options = {"show_prev_next": False, "secondary_sidebar_items": ["page-toc"]}

# What README.md links to outside docs/ and is a page here.
_PAGES = {
    "monai_genaug/bundles/hippocampus_mri_rhvae/docs/README.md": "docs/cards/hippocampus_mri_rhvae.md",
    "CHANGELOG.md": "docs/changes.md",
}
_RELATIVE_LINK = re.compile(r'(\]\(|src=")(?![a-z]+:|#|/)')


def _readme_first(app: Sphinx, docname: str, source: list[str]) -> None:
    """Puts README.md at the head of the index page; its links are relative to the folder above this one."""
    if docname == "index":
        readme = Path(app.confdir).parent / "README.md"
        app.env.note_dependency(str(readme))
        text = readme.read_text(encoding="utf-8")
        for outside, page in _PAGES.items():
            text = text.replace(f"]({outside})", f"]({page})")
        source[0] = _RELATIVE_LINK.sub(r"\1../", text) + "\n\n" + source[0]


def setup(app: Sphinx) -> None:
    app.connect("source-read", _readme_first)
