# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from monai_genaug.metrics import image_pair_similarity, nearest_real_similarity, paired_batch_similarity

OF_MONAI = ("psnr", "ssim")


def stripes(count: int) -> Tensor:
    """Images of ever finer stripes."""
    places = torch.linspace(0, 1, 24)
    waves = torch.stack([torch.sin(places * 5 * (i + 1)) for i in range(count)])
    return (0.5 + 0.5 * waves)[:, None, :, None].expand(count, 1, 24, 24)


def test_the_protocol_zips_the_batches() -> None:
    pytest.importorskip("piq", reason="three of the metrics are of piq: pip install monai-genaug[paired]")
    real, synthetic = stripes(6), stripes(6).flip(0)
    means = paired_batch_similarity(real, synthetic)
    assert list(means) == ["psnr", "ssim", "ms_gmsd", "mdsi", "haarpsi"]
    for name, values in image_pair_similarity(real, synthetic, list(means)).items():
        assert means[name] == pytest.approx(float(values.mean()))


def test_order_decides_the_protocol_but_not_the_nearest_real_images() -> None:
    real = stripes(6)
    noise = 0.05 * torch.rand(real.shape, generator=torch.Generator().manual_seed(0))
    synthetic = (0.9 * real + noise).flip(0)
    paired = paired_batch_similarity(real, synthetic, OF_MONAI)
    nearest = nearest_real_similarity(real, synthetic, OF_MONAI)
    assert nearest == pytest.approx(paired_batch_similarity(real.flip(0), synthetic, OF_MONAI))
    assert nearest["ssim"] > paired["ssim"] + 0.2
    assert nearest["psnr"] > paired["psnr"] + 10


def test_one_mean_image_scores_better_than_real_ones() -> None:
    """What the docstring warns of."""
    real, more = stripes(12)[::2], stripes(12)[1::2]
    average = real.mean(dim=0, keepdim=True).expand_as(real)
    psnr = [paired_batch_similarity(real, images, ("psnr",))["psnr"] for images in (more, average)]
    assert psnr[1] > psnr[0]


def test_features_say_what_is_nearest() -> None:
    real, synthetic = stripes(4), stripes(4)[:2]
    rows = torch.eye(4)
    swapped = nearest_real_similarity(real, synthetic, OF_MONAI, features=(rows, rows[[3, 2]]))
    assert swapped == pytest.approx(paired_batch_similarity(real[[3, 2]], synthetic, OF_MONAI))
    with pytest.raises(ValueError, match="features have 4 and 3 rows, the images are 4 and 2"):
        nearest_real_similarity(real, synthetic, OF_MONAI, features=(rows, rows[:3]))
    with pytest.raises(ValueError, match="not one kind"):
        nearest_real_similarity(real, synthetic[:, :, 1:], OF_MONAI)


@pytest.mark.parametrize("size", [1, 5])
def test_means_depend_on_no_batch(size: int) -> None:
    real = stripes(10)
    synthetic = 0.9 * real.flip(0) + 0.05
    for function in (paired_batch_similarity, nearest_real_similarity):
        whole = function(real, synthetic, OF_MONAI)
        partners = real.split(size) if function is paired_batch_similarity else [real] * (10 // size)
        parts = [function(x, y, OF_MONAI) for x, y in zip(partners, synthetic.split(size), strict=True)]
        for name, value in whole.items():
            assert value == pytest.approx(sum(part[name] for part in parts) / len(parts), rel=1e-6)


@pytest.mark.parametrize("function", [paired_batch_similarity, nearest_real_similarity])
def test_bad_images_are_refused(function: Callable[..., dict[str, float]]) -> None:
    real = stripes(3)
    for synthetic, text in (
        (real[:, :, :20], "not one kind|needed are equal shapes"),
        (real * torch.nan, "NaN|values from nan"),
        (real + 1.0, "values from"),
        (real[:0], "0 rows|equal shapes"),
    ):
        with pytest.raises(ValueError, match=text):
            function(real, synthetic, OF_MONAI)
    with pytest.raises(ValueError, match=r"metrics are \['fid'\], allowed: psnr"):
        function(real, real, ("fid",))


def test_bad_features_are_refused() -> None:
    real, rows = stripes(3), torch.eye(3)
    for features, text in (
        ((rows, rows * torch.nan), "synthetic features contain NaN"),
        ((rows, rows[:, :2]), r"real features are \(3, 3\) on cpu, synthetic ones \(3, 2\)"),
    ):
        with pytest.raises(ValueError, match=text):
            nearest_real_similarity(real, real, OF_MONAI, features=features)
