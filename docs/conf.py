# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Sphinx configuration."""

from __future__ import annotations

import sys
from importlib.metadata import version as _version
from pathlib import Path

_HERE = Path(__file__).parent
sys.path.insert(0, str(_HERE / "_ext"))

project = "monai_genaug"
author = "monai_genaug contributors"
project_copyright = author
release = version = _version("monai-genaug")

extensions = [
    "myst_nb",
    "sphinx_design",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "filled_in",
    "linked_names",
    "mathml",
    "notebooks",
]
exclude_patterns = ["_build", "_ext", "**.ipynb_checkpoints"]
nb_execution_mode = "off"  # notebooks are committed with their outputs, and run by the tests of the documentation
nb_render_markdown_format = "myst"  # tables in outputs
nb_merge_streams = True
suppress_warnings = ["misc.highlighting_failure"]  # shell commands in notebooks, over several lines
myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "dollarmath", "html_image"]
myst_heading_anchors = 3

autosummary_generate = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "show-inheritance": True}
maximum_signature_line_length = 90
python_use_unqualified_type_names = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
html_math_renderer = "mathml"

html_theme = "pydata_sphinx_theme"
html_title = f"monai_genaug {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_sidebars = {"index": [], "get_started": [], "changes": [], "dependencies": [], "security": [], "contributing": []}
html_theme_options = {
    "logo": {"text": "monai_genaug"},
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "show_prev_next": False,
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
    "footer_start": ["copyright"],
    "footer_end": [],
}
