# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What the README and the model card show is executed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser

from monai_genaug.generators import bundle_folder

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", bundle_folder("hippocampus_mri_rhvae") / "docs" / "README.md"]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=["readme", "card"])
def test_python_runs_as_shown(page: Path) -> None:
    names: dict[str, Any] = {}
    for block in blocks(page, "python"):
        exec(block, names)
    pairs = names["pairs"]
    assert pairs["image"].shape[1:] == pairs["mask"].shape[1:] == (1, 48, 64, 48)
    if "chain" in names:
        chain = names["chain"].set_random_state(0)
        random_part = [t for t in chain.transforms if type(t).__name__ in ("RandGenerativeSampled", "RandAffined")]
        assert len(random_part) == 2
        item: Any = {"image": pairs["image"][0], "label": pairs["mask"][0]}
        for transform in random_part:
            item = transform(item)
        assert item["image"].shape == (1, 48, 64, 48)
        assert item["is_synthetic"] in (True, False)
        assert {"image", "label", "is_synthetic"} <= set(names["dataset"][7])


def test_config_line_makes_the_transform() -> None:
    (block,) = blocks(PAGES[0], "json")
    transform = ConfigParser({"transform": json.loads(block)}).get_parsed_content("transform")
    item = transform({"image": torch.zeros(1, 48, 64, 48), "label": torch.zeros(1, 48, 64, 48)})
    assert "is_synthetic" in item


@pytest.mark.parametrize("page", PAGES, ids=["readme", "card"])
def test_links_and_pictures_are_there(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    missing = [t for t in targets if not t.startswith("http") and not (page.parent / t).exists()]
    assert not missing
    assert any(t.endswith(".png") for t in targets)
