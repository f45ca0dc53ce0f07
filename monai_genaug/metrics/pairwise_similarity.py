# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Measures of how much two images are alike, pixel by pixel."""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType

import torch
from monai.metrics import MultiScaleSSIMMetric, PSNRMetric, SSIMMetric
from torch import Tensor

__all__ = ["PAIRED_METRICS", "image_pair_similarity"]

PAIRED_METRICS: Mapping[str, str] = {
    "psnr": "max",
    "ssim": "max",
    "ms_ssim": "max",
    "ms_gmsd": "min",
    "mdsi": "min",
    "haarpsi": "max",
}
"""Name -> whether the largest or the smallest value is the best."""

_PIQ = {"ms_gmsd": "multi_scale_gmsd", "mdsi": "mdsi", "haarpsi": "haarpsi"}
_SMALLEST_OF_PIQ = 17  # pixels per axis; MS-GMSD needs most
_WINDOW, _SIGMA = 11, 1.5
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_BATCH = 64
_SLACK = 1e-3  # of the range's width: what interpolation and rounding may leave


@torch.no_grad()
def image_pair_similarity(
    real: Tensor,
    synthetic: Tensor,
    metrics: Sequence[str] = tuple(PAIRED_METRICS),
    value_range: tuple[float, float] = (0.0, 1.0),
) -> dict[str, Tensor]:
    """How much image i of one set is like image i of the other.

    PSNR (dB; infinite for equal images), SSIM (Wang et al., IEEE TIP 13, 2004) and MS-SSIM (Wang et al., Asilomar
    2003) are those of MONAI, in 2D and 3D. MS-SSIM has five scales from 176 pixels per axis on; smaller images have
    fewer (four from 99, three from 44, two from 22), with weights that are scaled to add up to 1, and values of
    different numbers of scales cannot be compared.

    MS-GMSD (Zhang et al., ICASSP 2017), MDSI (Nafchi et al., IEEE Access 4, 2016) and HaarPSI (Reisenhofer et al.,
    Signal Processing 61, 2018) are those of ``piq``, for 2D images of 1 or 3 channels and 17 pixels per axis. The
    first two are deviations: 0 is best.

    Args:
        real, synthetic: ``(n, c, *spatial)``, equal shapes.
        metrics: of :data:`PAIRED_METRICS`.
        value_range: of the images.

    Returns:
        Metric -> values ``(n,)``, float64, on the CPU.

    Raises:
        ValueError: metrics that don't exist or don't fit the images, shapes that differ, values that are not finite or
            outside of ``value_range``.
        ImportError: MS-GMSD, MDSI or HaarPSI without ``piq``.
    """
    _check_metrics(metrics, real)
    x, y = _checked(real, "real", value_range), _checked(synthetic, "synthetic", value_range)
    if x.shape != y.shape or len(x) == 0:
        raise ValueError(f"real images are {tuple(x.shape)}, synthetic ones {tuple(y.shape)}: needed are equal shapes.")
    functions = {name: _function(name, x) for name in metrics}
    values: dict[str, list[Tensor]] = {name: [] for name in metrics}
    for a, b in zip(x.split(_BATCH), y.split(_BATCH), strict=True):
        for name, function in functions.items():
            values[name].append(function(b, a).flatten().double().cpu())
    return {name: torch.cat(rows) for name, rows in values.items()}


def _check_metrics(metrics: Sequence[str], images: Tensor) -> None:
    unknown = [name for name in metrics if name not in PAIRED_METRICS]
    if unknown or not metrics:
        raise ValueError(f"metrics are {list(metrics)}, allowed: {', '.join(PAIRED_METRICS)}.")
    if images.ndim not in (4, 5):
        raise ValueError(f"real images are {tuple(images.shape)}, needed: (n, c, *spatial) in 2D or 3D.")
    smallest, flat = min(images.shape[2:]), [name for name in metrics if name in _PIQ]
    if flat and (images.ndim != 4 or images.shape[1] not in (1, 3) or smallest < _SMALLEST_OF_PIQ):
        raise ValueError(
            f"{', '.join(flat)} need 2D images of 1 or 3 channels and {_SMALLEST_OF_PIQ} pixels per axis, these are "
            f"{tuple(images.shape)}; metrics=('psnr', 'ssim') take others."
        )
    if smallest < _WINDOW and {"ssim", "ms_ssim"} & set(metrics):
        raise ValueError(f"SSIM needs {_WINDOW} pixels per axis, the images are {tuple(images.shape)}.")


def _checked(images: Tensor, name: str, value_range: tuple[float, float]) -> Tensor:
    """The images in [0, 1], float32."""
    low, high = value_range
    if not low < high:
        raise ValueError(f"value_range is {tuple(value_range)}, needed: (low, high) with low < high.")
    x = (images.as_subclass(Tensor).float() - low) / (high - low)
    if len(x) and not (float(x.min()) >= -_SLACK and float(x.max()) <= 1.0 + _SLACK):  # NaN, too
        raise ValueError(
            f"{name} images have values from {float(images.min()):g} to {float(images.max()):g}, value_range is "
            f"({low:g}, {high:g})."
        )
    return x.clamp(0.0, 1.0)


def _function(name: str, images: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """Takes a batch of synthetic images and one of real ones."""
    if name in _PIQ:
        return _of_piq(_PIQ[name])
    dims = images.ndim - 2
    if name == "psnr":
        metric = PSNRMetric(max_val=1.0, reduction="none")
    elif name == "ssim":
        metric = SSIMMetric(dims, reduction="none", win_size=_WINDOW, kernel_sigma=_SIGMA)
    else:
        weights = _weights_for(min(images.shape[2:]))
        metric = MultiScaleSSIMMetric(dims, reduction="none", kernel_size=_WINDOW, kernel_sigma=_SIGMA, weights=weights)
    call: Callable[[Tensor, Tensor], Tensor] = metric
    return call


def _weights_for(size: int) -> tuple[float, ...]:
    """Of as many scales as an image has room for, also in MONAI's check, which is stricter than the window."""
    counts = range(1, len(_SCALE_WEIGHTS) + 1)
    fitting = [n for n in counts if min(size // 2 ** (n - 1), size // max(1, n - 1) ** 2) >= _WINDOW]
    chosen = _SCALE_WEIGHTS[: max(fitting)]
    return tuple(weight / math.fsum(chosen) for weight in chosen)


def _of_piq(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    function = getattr(_piq(), name)

    def call(synthetic: Tensor, real: Tensor) -> Tensor:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The original MDSI supports only RGB")  # grey is repeated, as meant
            values: Tensor = function(synthetic, real, data_range=1.0, reduction="none")
        return values.clamp(max=1.0)  # HaarPSI of two black images is infinite there

    return call


def _piq() -> ModuleType:
    try:
        return importlib.import_module("piq")
    except ImportError as error:
        raise ImportError(
            "MS-GMSD, MDSI and HaarPSI need the package piq: pip install monai-genaug[paired]; "
            "metrics=('psnr', 'ssim') do without."
        ) from error
