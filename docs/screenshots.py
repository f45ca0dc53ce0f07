# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of the built pages by headless chromium: ``python docs/screenshots.py OUT [PAGE ...]``."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

BUILT = Path(__file__).parent / "_build" / "html"
PAGES = ("index", "how_to/pools", "reference/transforms", "cards", "results/index", "concepts/manifold_sampling")
WIDTHS = (1280, 420)
_STORED_THEME = re.compile(r'localStorage\.getItem\("(mode|theme)"\)')
_FRAME = '<body style="margin: 0"><iframe src="{page}" width="{width}" height="{height}" style="border: 0">'


def main(out: Path, pages: tuple[str, ...], height: int = 2400) -> None:
    """Writes ``<page>_<width>[_dark].png``."""
    out.mkdir(parents=True, exist_ok=True)
    for page in pages:
        for width in WIDTHS:
            for mode in ("light", "dark") if width == WIDTHS[0] else ("light",):
                name = f"{page.replace('/', '_')}_{width}" + ("_dark" if mode == "dark" else "")
                _shoot(BUILT / f"{page}.html", out / f"{name}.png", (width, height), mode)


def _shoot(page: Path, picture: Path, size: tuple[int, int], mode: str) -> None:
    """A window cannot be narrower than 500 pixels, so the page is shown in a frame of the wanted width."""
    frame = picture.with_suffix(".html")
    width, height = size
    themed = page.with_name(f"{page.stem}.{mode}.shot.html")
    themed.write_text(_STORED_THEME.sub(f'"{mode}"', page.read_text()), encoding="utf-8")
    frame.write_text(_FRAME.format(page=themed, width=width, height=height))
    command = ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars", "--allow-file-access-from-files"]
    command += ["--virtual-time-budget=5000", f"--window-size={max(width, 500)},{height}", f"--screenshot={picture}"]
    try:
        subprocess.run([*command, frame.as_uri()], check=True, capture_output=True, timeout=120)
    finally:
        themed.unlink()
        frame.unlink()


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python docs/screenshots.py OUT [PAGE ...]")
    main(Path(sys.argv[1]), tuple(sys.argv[2:]) or PAGES)
