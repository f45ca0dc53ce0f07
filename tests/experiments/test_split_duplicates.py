# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from monai_genaug.experiments.card_text import BEGIN, END
from monai_genaug.experiments.split_duplicates import (
    duplicate_section,
    lesion_counts,
    measure_split_duplicates,
    medmnist_duplicates,
)
from tests.small_data import small_copy


def pictures(count: int) -> np.ndarray:
    """Different images, uint8 ``(count, 28, 28)``."""
    blocks = np.random.default_rng(0).integers(0, 256, (count, 7, 7), dtype=np.uint8)
    return blocks.repeat(4, axis=1).repeat(4, axis=2)


def write_set(folder: Path) -> None:
    """A BreastMNIST in which a training image is in the test part, and another one mirrored in the validation part."""
    images = pictures(20)
    parts = {"train": images[:10], "val": [*images[10:14], images[1][:, ::-1]], "test": [*images[15:], images[2]]}
    arrays = {f"{name}_images": np.stack(list(part)) for name, part in parts.items()}
    labels = {f"{name}_labels": np.arange(len(part))[:, None] % 2 for name, part in parts.items()}
    np.savez(folder / "breastmnist.npz", **arrays, **labels)


def test_the_table_counts_exact_and_near_pairs(tmp_path: Path) -> None:
    write_set(tmp_path)
    reports = medmnist_duplicates(tmp_path, progress=False)
    assert list(reports) == ["breastmnist"]
    assert "| breastmnist | 0 + 0 | 0 + 1 | 1 + 0 | 0 + 0 | 0 + 0 | 0 + 0 | 1 of 6 |" in duplicate_section(reports)


def test_pairs_of_one_lesion_by_distance(tmp_path: Path) -> None:
    grey = pictures(6).astype(np.float64)
    noise = np.random.default_rng(1).standard_normal((28, 28)) * 12
    copies = [grey[0] * 0.8 + 10, (grey[1] + noise).clip(0, 255), *grey]
    subjects = ["a", "other", "a", "b", "c", "d", "e", "f"]
    items = []
    for number, (picture, subject) in enumerate(zip(copies, subjects, strict=True)):
        path = tmp_path / f"{number}.png"
        Image.fromarray(picture.astype(np.uint8)).convert("RGB").save(path)
        items.append({"image": str(path), "subject": subject})
    counts = lesion_counts(items, progress=False)
    assert counts[0] == (1, 1)
    assert sum(pairs for pairs, _ in counts) == 2
    assert sum(same for _, same in counts) == 1


def test_writes_the_page(genaug_data: Path, tmp_path: Path) -> None:
    if not (genaug_data / "medmnist" / "breastmnist.npz").is_file():
        pytest.skip(f"{genaug_data} has no medmnist/breastmnist.npz")
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    small_copy(genaug_data, "BreastMNIST", tmp_path / "data" / "medmnist")
    measure_split_duplicates(tmp_path / "data", page, tmp_path / "work")
    text = page.read_text()
    assert text.startswith("before")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| breast_us_cgan | 24 of 24 | 0 of 4 | 0 of 4 |" in text
    assert "| breastmnist | logistic | 24 | 1 |" in text
