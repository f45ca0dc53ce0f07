# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Real hippocampus volumes in a generator's space, by the parts of the bundle's committed split."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from monai_genaug.data.decathlon import decathlon_items, select_split
from monai_genaug.generators import SampleGenerator, bundle_folder

__all__ = ["BUNDLE", "find_dataset", "load_part", "stack_pairs"]

BUNDLE = "hippocampus_mri_rhvae"
KEYS = ("image", "label")


def find_dataset() -> Path | None:
    """``Task04_Hippocampus`` in the folder that the environment variable ``GENAUG_DATA`` names; None without it."""
    root = os.environ.get("GENAUG_DATA")
    folder = Path(root) / "Task04_Hippocampus" if root else None
    return folder if folder is not None and folder.is_dir() else None


def load_part(generator: SampleGenerator, dataset: Path, part: str) -> list[dict[str, Any]]:
    """Items of ``"train"``, ``"val"`` or ``"test"``: ``image`` and ``label`` ``(1, *spatial_shape)``, ``subject``."""
    split = bundle_folder(BUNDLE) / "configs" / "split.json"
    preprocess = generator.preprocessing(KEYS)
    items = []
    for item in select_split(decathlon_items(dataset), split, part):
        loaded = preprocess({key: item[key] for key in KEYS})
        items.append({**{key: torch.as_tensor(loaded[key]) for key in KEYS}, "subject": item["subject"]})
    return items


def stack_pairs(items: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
    """``image`` and ``mask`` ``(n, 1, *spatial_shape)`` of items."""
    return {
        "image": torch.stack([torch.as_tensor(item["image"]) for item in items]).float(),
        "mask": torch.stack([torch.as_tensor(item["label"]) for item in items]),
    }
