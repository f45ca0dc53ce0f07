# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Where errors and warnings lead to, when a user has to decide something."""

from __future__ import annotations

__all__: list[str] = []

DOCS_URL = "https://monai-genaug.readthedocs.io/en/stable"
"""The published documentation; its pages are those of ``docs/`` in the repository."""


def docs_link(page: str, section: str = "") -> str:
    """The address of a page of the documentation.

    Args:
        page: path below ``docs/`` without its ending, for example ``"how_to/leakage"``.
        section: id of a heading: its words in lower case, joined by hyphens.
    """
    return f"{DOCS_URL}/{page}.html{'#' if section else ''}{section}"
