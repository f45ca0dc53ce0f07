# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from monai_genaug.data import medmnist_items
from monai_genaug.latent.draws import standard_normal
from monai_genaug.quality.duplicates import find_duplicates


def pictures(count: int, size: tuple[int, ...] = (32, 32), channels: int = 1, first: int = 0) -> Tensor:
    """Different smooth images, uint8 ``(count, channels, *size)``."""
    cells = (6,) * len(size)
    noise = standard_normal(range(first, first + count), channels * torch.Size(cells).numel()).float()
    mode = "bicubic" if len(size) == 2 else "trilinear"
    smooth = torch.nn.functional.interpolate(noise.reshape(count, channels, *cells), size, mode=mode)
    return (smooth * 45 + 128).clamp(0, 255).to(torch.uint8)


def stored_as_jpeg(image: Tensor, quality: int) -> Tensor:
    file = io.BytesIO()
    Image.fromarray(image[0].numpy()).save(file, "JPEG", quality=quality)
    return torch.from_numpy(np.array(Image.open(file)))[None]


@pytest.mark.parametrize("size", [(32, 32), (20, 31), (12, 13, 14)])
@pytest.mark.parametrize("channels", [1, 3])
def test_different_images_are_no_duplicates(size: tuple[int, ...], channels: int) -> None:
    images = pictures(40, size, channels)
    report = find_duplicates({"train": images[:30], "test": images[30:]})
    assert report.pairs == ()
    assert report.groups() == ()
    assert report.nearest[0.0] > 2 * report.near


def test_exact_copies_within_and_between_parts() -> None:
    images = pictures(20)
    groups = {"train": images[[0, 1, 2, 1, 1]], "val": images[[5, 1]], "test": images[[7, 2, 8, 2]]}
    report = find_duplicates(groups)
    assert {(pair.first, pair.second) for pair in report.pairs} == {
        (("train", 1), ("train", 3)),
        (("train", 1), ("train", 4)),
        (("train", 1), ("val", 1)),
        (("train", 2), ("test", 1)),
        (("test", 1), ("test", 3)),
    }
    assert {(pair.kind, pair.distance) for pair in report.pairs} == {("exact", 0.0)}
    assert report.groups() == (
        (("train", 1), ("train", 3), ("train", 4), ("val", 1)),
        (("train", 2), ("test", 1), ("test", 3)),
    )
    assert report.redundant() == {"train": [3, 4], "val": [1], "test": [1, 3]}
    assert report.redundant(("test", "val", "train")) == {"train": [1, 2, 3, 4], "val": [], "test": [3]}
    assert "| train and test | 1 | 0 | 2 |" in report.table()


@pytest.mark.parametrize(
    ("change", "view"),
    [  # transposing is turning by 270 degrees, then mirroring
        (lambda x: x.flip(-1), "mirrored"),
        (lambda x: x.rot90(1, (1, 2)), "rotated 90"),
        (lambda x: x.rot90(2, (1, 2)), "rotated 180"),
        (lambda x: x.transpose(1, 2), "rotated 270, mirrored"),
        (lambda x: (x.float() * 0.8 + 20).round().to(torch.uint8), "identity"),
        (lambda x: stored_as_jpeg(x, 75), "identity"),
        (lambda x: x[:, ::2, ::2], "identity"),
    ],
)
def test_altered_copies_are_near(change: Callable[[Tensor], Tensor], view: str) -> None:
    images = pictures(12, (64, 64))
    report = find_duplicates({"train": list(images), "test": [change(images[4])]})
    (pair,) = report.pairs
    assert (pair.kind, pair.first, pair.second, pair.view) == ("near", ("train", 4), ("test", 0), view)
    assert pair.distance <= 0.1


def test_views_of_volumes_and_none_on_request() -> None:
    volumes = pictures(6, (16, 16, 16))
    groups = {"train": volumes, "test": volumes[2:3].flip(2, 4)}
    (pair,) = find_duplicates(groups).pairs
    assert (pair.first, pair.view) == (("train", 2), "mirrored 02")
    assert find_duplicates(groups, flips=False).pairs == ()


def test_near_copies_of_an_exact_pair_are_listed_for_both_parts() -> None:
    images = pictures(5)
    altered = (images[:1].float() * 0.9).round().to(torch.uint8)
    report = find_duplicates({"train": images, "val": images[:1], "test": altered})
    assert len(report.between("train", "test", "near")) == len(report.between("val", "test", "near")) == 1
    assert report.groups() == ((("train", 0), ("val", 0), ("test", 0)),)


def test_many_rows_are_compared_block_by_block_with_the_same_result() -> None:
    images = pictures(700, (16, 16))  # more than one block
    images[650] = images[3].flip(-1)
    images[699] = (images[640].float() * 0.9).round()
    report = find_duplicates({"all": images})
    assert {(pair.first[1], pair.second[1], pair.view) for pair in report.pairs if pair.distance < 0.01} == {
        (3, 650, "mirrored"),
        (640, 699, "identity"),
    }


def test_distance_is_that_of_the_correlation() -> None:
    images = pictures(2, (16, 16))
    report = find_duplicates({"all": images}, near=0.999, flips=False)
    correlation = np.corrcoef(images.flatten(1).numpy())[0, 1]
    assert report.nearest[0.0] == pytest.approx(np.sqrt(2 - 2 * correlation), abs=1e-5)


def test_features_find_what_pixels_do_not() -> None:
    images, features = pictures(20), standard_normal(range(20), 16)
    features[12] = features[3] + 0.01
    report = find_duplicates(
        {"a": images[:10], "b": images[10:]}, features={"a": features[:10], "b": features[10:] * 1.0}
    )
    (pair,) = report.pairs
    assert (pair.kind, pair.first, pair.second) == ("features", ("a", 3), ("b", 2))
    assert "| a and b | 0 | 0 | 1 | 2 |" in report.table()


def test_images_without_contrast_are_only_exact_duplicates() -> None:
    grey = torch.stack([torch.full((1, 16, 16), level, dtype=torch.uint8) for level in (7, 7, 9)])
    report = find_duplicates({"all": grey})
    assert [(pair.kind, pair.second) for pair in report.pairs] == [("exact", ("all", 1))]


def test_report_is_plain() -> None:
    images = pictures(4)
    plain = find_duplicates({"train": images, "test": images[:1]}).to_dict()
    assert plain["sizes"] == {"train": 4, "test": 1}
    assert plain["pairs"][0]["first"] == ["train", 0]
    assert plain["groups"] == [[["train", 0], ["test", 0]]]


def test_refusals() -> None:
    images = pictures(3)
    with pytest.raises(ValueError, match=r"near is 1.0"):
        find_duplicates({"a": images}, near=1.0)
    with pytest.raises(ValueError, match="hold no items"):
        find_duplicates({"a": images[:0]})
    with pytest.raises(ValueError, match=r"item 0 of 'b' has 3 channels in 2D, the others 1 in 2D"):
        find_duplicates({"a": images, "b": pictures(1, channels=3)})
    with pytest.raises(ValueError, match=r"item 1 of 'a' has values from -1 to 3, value_range is \(0.0, 1.0\)"):
        find_duplicates({"a": [torch.zeros(1, 4, 4), torch.linspace(-1, 3, 16).reshape(1, 4, 4)]})
    with pytest.raises(ValueError, match=r"item 0 of 'a' is torch.uint8 of shape \(32, 32\)"):
        find_duplicates({"a": images[0]})
    with pytest.raises(ValueError, match="features are given for"):
        find_duplicates({"a": images}, features={"a": torch.zeros(2, 3)})
    with pytest.raises(ValueError, match="split 'c' does not exist"):
        find_duplicates({"a": images}).between("a", "c")
    with pytest.raises(ValueError, match="priority is"):
        find_duplicates({"a": images}).redundant(("b",))


OFFICIAL = {
    "breastmnist": {("train", "test"): 1},
    "pneumoniamnist": {("train", "train"): 18, ("test", "test"): 3, ("train", "val"): 8},
    "adrenalmnist3d": {},
}


@pytest.mark.parametrize("name", OFFICIAL)
def test_duplicates_in_official_files(genaug_data: Path, name: str) -> None:
    folder = genaug_data / "medmnist"
    if not (folder / f"{name}.npz").is_file():
        pytest.skip(f"{folder} has no {name}.npz")
    parts = ("train", "val", "test")
    groups = {part: [torch.from_numpy(item["image"]) for item in medmnist_items(name, folder, part)] for part in parts}
    report = find_duplicates(groups)
    found = {(a, b): len(report.between(a, b, "exact")) for i, a in enumerate(parts) for b in parts[i:]}
    assert {names: count for names, count in found.items() if count} == OFFICIAL[name]
    near = [pair for pair in report.pairs if pair.kind == "near"]
    if name == "breastmnist":  # frames of one lesion, most of them in two parts
        assert len(near) == 169
        assert len(report.between("train", "test", "near")) == 53
        assert {pair.view for pair in near} == {"identity"}
    else:
        assert near == []
        assert report.nearest[0.0] > 0.18
