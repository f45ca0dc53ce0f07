# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The notebooks of ``tutorials/`` at the root of the repository as pages of this documentation."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

PATTERN = "[1-9]_*.ipynb"


def notebook_sources(docs: Path) -> list[Path]:
    """The notebooks, in their order."""
    return sorted((docs.parent / "tutorials").glob(PATTERN))


def _copy_notebooks(app: Sphinx) -> None:
    """Copies what has changed, and removes copies of what is gone."""
    docs = Path(app.srcdir)
    sources = {source.name: source for source in notebook_sources(docs)}
    for copied in (docs / "tutorials").glob("*.ipynb"):
        if copied.name not in sources:
            copied.unlink()
    for name, source in sources.items():
        target = docs / "tutorials" / name
        if not target.is_file() or target.read_bytes() != source.read_bytes():
            shutil.copyfile(source, target)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", _copy_notebooks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
