# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""``python -m monai_genaug`` is the command line."""

from __future__ import annotations

from monai_genaug.cli import app

__all__: list[str] = []

if __name__ == "__main__":
    app(prog_name="monai-genaug")
