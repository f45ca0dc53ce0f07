# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Similarity of synthetic images to real ones that they are paired with."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from monai_genaug.metrics.nearest_real import nearest_real_rows
from monai_genaug.metrics.pairwise_similarity import image_pair_similarity

__all__ = ["nearest_real_similarity", "paired_batch_similarity"]

_USUAL = ("psnr", "ssim", "ms_gmsd", "mdsi", "haarpsi")


def paired_batch_similarity(
    real: Tensor,
    synthetic: Tensor,
    metrics: Sequence[str] = _USUAL,
    value_range: tuple[float, float] = (0.0, 1.0),
) -> dict[str, float]:
    """Mean similarity of a batch of real images and a batch of synthetic ones, paired as they happen to come.

    Some reports on GANs give these figures, so it must be possible to compute them. They say little: image i of one
    batch has nothing to do with image i of the other, so that a perfect generator scores no better than two batches
    of real images do, and a generator that only makes one blurred average image scores better than a perfect one.
    A value means something only beside that of two real batches. :func:`nearest_real_similarity` compares what is
    alike; metrics of features compare the whole sets.

    Args:
        real, synthetic: ``(n, c, *spatial)``, equal shapes.
        metrics: of :data:`~monai_genaug.metrics.pairwise_similarity.PAIRED_METRICS`; the last three of the default
            need 2D images and the package ``piq``.
        value_range: of the images.

    Returns:
        Metric -> mean over the pairs.

    Raises:
        ValueError, ImportError: see :func:`~monai_genaug.metrics.pairwise_similarity.image_pair_similarity`.
    """
    values = image_pair_similarity(real, synthetic, metrics, value_range)
    return {name: float(rows.mean()) for name, rows in values.items()}


def nearest_real_similarity(
    real: Tensor,
    synthetic: Tensor,
    metrics: Sequence[str] = _USUAL,
    value_range: tuple[float, float] = (0.0, 1.0),
    features: tuple[Tensor, Tensor] | None = None,
) -> dict[str, float]:
    """Mean similarity of synthetic images to the nearest real one of each.

    High values mean realistic images, or copies: compare with the value of held-out real images in place of synthetic
    ones. Values clearly better than that are a sign of copies. A generator that always makes the same good image
    scores well, too.

    Args:
        real: ``(n, c, *spatial)``.
        synthetic: ``(m, c, *spatial)``.
        metrics, value_range: as in :func:`paired_batch_similarity`.
        features: of the real images ``(n, d)`` and of the synthetic ones ``(m, d)``: what "nearest" refers to. None
            for the pixels.

    Returns:
        Metric -> mean over the synthetic images.

    Raises:
        ValueError: images that cannot be compared, or features that don't fit them.
        ImportError: see :func:`~monai_genaug.metrics.pairwise_similarity.image_pair_similarity`.
    """
    if real.shape[1:] != synthetic.shape[1:]:
        raise ValueError(f"real images are {tuple(real.shape)}, synthetic ones {tuple(synthetic.shape)}: not one kind.")
    tables = (real.flatten(1), synthetic.flatten(1)) if features is None else features
    if [len(table) for table in tables] != [len(real), len(synthetic)]:
        raise ValueError(
            f"features have {len(tables[0])} and {len(tables[1])} rows, the images are {len(real)} and "
            f"{len(synthetic)}."
        )
    nearest, _ = nearest_real_rows(*tables)
    return paired_batch_similarity(real[nearest.to(real.device)], synthetic, metrics, value_range)
