# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
import sys

import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from monai_genaug.metrics import PAIRED_METRICS, image_pair_similarity


def images(count: int, channels: int = 1, shape: tuple[int, ...] = (32, 32), seed: int = 0) -> Tensor:
    """Smooth images in [0, 1]."""
    noise = torch.rand(count, channels, *shape, generator=torch.Generator().manual_seed(seed)).numpy()
    smooth = torch.from_numpy(gaussian_filter(noise, (0, 0, *[2.0] * len(shape))))
    return (smooth - smooth.min()) / (smooth.max() - smooth.min())


def of_monai() -> tuple[str, ...]:
    return ("psnr", "ssim", "ms_ssim")


def test_psnr_and_ssim_are_the_textbook_ones() -> None:
    x, y = images(70), images(70, seed=1)
    values = image_pair_similarity(x, y, ("psnr", "ssim"))
    error = (x - y).square().mean(dim=(1, 2, 3)).double()
    torch.testing.assert_close(values["psnr"], -10 * error.log10(), rtol=1e-5, atol=0)
    a, b = x[0, 0].double().numpy(), y[0, 0].double().numpy()

    def mean(image):  # type: ignore[no-untyped-def]
        return gaussian_filter(image, 1.5, truncate=5 / 1.5)[5:-5, 5:-5]

    p, q = mean(a), mean(b)
    covariance = mean(a * b) - p * q
    variances = mean(a * a) - p * p + mean(b * b) - q * q
    ssim = (2 * p * q + 1e-4) * (2 * covariance + 9e-4) / ((p * p + q * q + 1e-4) * (variances + 9e-4))
    assert float(values["ssim"][0]) == pytest.approx(ssim.mean(), abs=1e-4)


@pytest.mark.parametrize(("shape", "scales"), [((16, 30), 1), ((22, 22), 2), ((60, 44), 3), ((24, 24, 24), 2)])
def test_ms_ssim_has_the_scales_that_fit(shape: tuple[int, ...], scales: int) -> None:
    x = images(2, 1, shape)
    flatter = 0.5 + 0.5 * (x - 0.5)
    values = image_pair_similarity(x, flatter, ("ssim", "ms_ssim"))
    assert ((values["ms_ssim"] > 0.2) & (values["ms_ssim"] < 1)).all()
    assert torch.allclose(values["ssim"], values["ms_ssim"], atol=1e-6) == (scales == 1)


def test_ms_ssim_of_large_images_is_the_full_one() -> None:
    piq = pytest.importorskip("piq", reason="the reference is of piq: pip install monai-genaug[paired]")
    x = images(2, 1, (176, 180))
    y = (x + 0.1 * torch.rand(x.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    expected = piq.multi_scale_ssim(x, y, data_range=1.0, reduction="none").double()
    torch.testing.assert_close(image_pair_similarity(x, y, ("ms_ssim",))["ms_ssim"], expected, atol=1e-4, rtol=0)


def test_values_of_other_packages() -> None:
    """``piqa`` 1.3.2 for MS-GMSD and HaarPSI, ``piq`` 0.8.0 for MDSI, of which piqa's differs."""
    pytest.importorskip("piq", reason="three of the metrics are of piq: pip install monai-genaug[paired]")
    x, y = images(3, 3), images(3, 3, seed=1)
    near = image_pair_similarity(x, 0.7 * x + 0.3 * y, ("ms_gmsd", "haarpsi", "mdsi"))
    assert near["ms_gmsd"].tolist() == pytest.approx([0.096839, 0.101369, 0.057846], abs=1e-3)
    assert near["haarpsi"].tolist() == pytest.approx([0.698852, 0.717536, 0.779846], abs=1e-3)
    assert near["mdsi"].tolist() == pytest.approx([0.3289085, 0.3482491, 0.3072354], abs=1e-5)
    far = image_pair_similarity(x, y, ("ms_gmsd", "haarpsi"))
    assert far["ms_gmsd"].tolist() == pytest.approx([0.173342, 0.183075, 0.194578], abs=1e-3)
    assert far["haarpsi"].tolist() == pytest.approx([0.425852, 0.441883, 0.413342], abs=1e-3)


@pytest.mark.parametrize("size", [1, 7, 64, 65])
def test_values_depend_on_no_batch(size: int) -> None:
    pytest.importorskip("piq", reason="three of the metrics are of piq: pip install monai-genaug[paired]")
    x, y = images(66), images(66, seed=1)
    whole = image_pair_similarity(x, y)
    parts = [image_pair_similarity(a, b) for a, b in zip(x.split(size), y.split(size), strict=True)]
    for name, values in whole.items():
        torch.testing.assert_close(torch.cat([part[name] for part in parts]), values, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("level", [0.0, 0.4])
def test_equal_flat_images_have_the_best_values(level: float) -> None:
    pytest.importorskip("piq", reason="three of the metrics are of piq: pip install monai-genaug[paired]")
    flat = torch.full((1, 1, 32, 32), level)
    best = {"psnr": math.inf, "ssim": 1.0, "ms_ssim": 1.0, "ms_gmsd": 0.0, "mdsi": 0.0, "haarpsi": 1.0}
    values = image_pair_similarity(flat, flat)
    assert {name: float(rows) for name, rows in values.items()} == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_best_values_for_equal_images_and_worse_ones_for_noise(channels: int) -> None:
    pytest.importorskip("piq", reason="three of the metrics are of piq: pip install monai-genaug[paired]")
    x = images(3, channels)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    steps = [image_pair_similarity(x, (x + sd * noise).clamp(0, 1)) for sd in (0.0, 0.05, 0.3)]
    best = {"psnr": math.inf, "ssim": 1, "ms_ssim": 1, "ms_gmsd": 0, "mdsi": 0, "haarpsi": 1}
    for name, mode in PAIRED_METRICS.items():
        equal, little, much = (values[name] for values in steps)
        assert equal.tolist() == pytest.approx([best[name]] * 3, abs=1e-5)
        for better, worse in ((equal, little), (little, much)):
            assert ((better > worse) if mode == "max" else (better < worse)).all(), name


def test_values_are_of_pairs_and_of_no_value_range() -> None:
    x, y = images(4), images(4, seed=1)
    values = image_pair_similarity(x, y, of_monai())
    scaled = image_pair_similarity(2 * x - 1, 2 * y - 1, of_monai(), (-1, 1))
    alone = image_pair_similarity(x[2:3], y[2:3], of_monai())
    for name, rows in values.items():
        assert rows.dtype == torch.float64
        torch.testing.assert_close(scaled[name], rows, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(alone[name], rows[2:3], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("x", "y", "metrics", "text"),
    [
        (images(2), images(2), ("lpips",), r"metrics are \['lpips'\], allowed: psnr, ssim"),
        (images(2), images(2), (), "allowed: psnr"),
        (images(2), images(3), ("psnr",), r"\(2, 1, 32, 32\), synthetic ones \(3, 1, 32, 32\)"),
        (images(2) - 0.5, images(2), ("psnr",), "real images have values from -0.5 to 0.5"),
        (images(2), images(2) * torch.nan, ("psnr",), "synthetic images have values from nan"),
        (images(2, 1, (10, 20)), images(2, 1, (10, 20)), ("ssim",), "SSIM needs 11 pixels"),
        (images(1, 1, (18, 18, 18)), images(1, 1, (18, 18, 18)), ("mdsi",), "mdsi need 2D images of 1 or 3"),
        (images(2, 2), images(2, 2), ("haarpsi", "psnr"), "haarpsi need 2D images of 1 or 3"),
        (images(2, 1, (16, 16)), images(2, 1, (16, 16)), ("ms_gmsd",), "17 pixels per axis"),
    ],
)
def test_what_cannot_be_compared_is_refused(x: Tensor, y: Tensor, metrics: tuple[str, ...], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        image_pair_similarity(x, y, metrics)


def test_without_piq_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "piq", None)
    with pytest.raises(ImportError, match=r"pip install monai-genaug\[paired\]"):
        image_pair_similarity(images(2), images(2), ("haarpsi",))
    assert set(image_pair_similarity(images(2), images(2), of_monai())) == set(of_monai())
