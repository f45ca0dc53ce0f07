# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What the metrics that collect features have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from monai.metrics import CumulativeIterationMetric
from monai.utils import evenly_divisible_all_gather
from torch import Tensor

__all__ = ["FeatureMetric"]

Features = Tensor | Sequence[Tensor]
_NAMES = ("synthetic", "real")  # in MONAI's order: y_pred, y


class FeatureMetric(CumulativeIterationMetric):
    """Collects the features of synthetic and real samples batch by batch; subclasses compare the two sets.

    The two sets need not be of one size, nor come together: ``metric(synthetic)``, ``metric(y=real)`` and
    ``metric(synthetic, real)`` add what is given. ``aggregate()`` measures all features since the last ``reset()``;
    with a process group those of all ranks, of which each gets the result. A rank may have no features. Batch sizes
    change nothing; errors of the data come from ``aggregate()``, on all ranks alike.

    Example:
        >>> metric = FrechetDistanceMetric()
        >>> for batch in (torch.eye(4), 2 * torch.eye(4)):  # in their place: features of batches
        ...     metric(y_pred=batch, y=batch)
        >>> round(metric.aggregate(), 6)
        0.0
    """

    _buffers: list[list[Tensor]] | None
    _synced_tensors: list[Tensor]

    def __call__(self, y_pred: Features | None = None, y: Features | None = None, **kwargs: Any) -> None:
        """Adds features.

        Args:
            y_pred: of synthetic samples, ``(n, d)`` or a list of ``(d,)``; None for no more of them.
            y: of real samples, likewise.
            kwargs: nothing; in the signature for MONAI's callers.

        Raises:
            ValueError: no such table, or another feature size than before.
        """
        batches = self._compute_tensor(_as_table(y_pred), _as_table(y), **kwargs)
        buffers = self._buffers or [[] for _ in _NAMES]
        for name, batch, rows in zip(_NAMES, batches, buffers, strict=True):
            if batch is not None and rows and batch.shape[1:] != rows[0].shape:
                raise ValueError(f"{name} features have size {batch.shape[1]}, those before have {len(rows[0])}.")
        for batch, rows in zip(batches, buffers, strict=True):
            rows.extend([] if batch is None else batch.unbind())
        self._buffers, self._synced = buffers, False

    def _compute_tensor(self, y_pred: Tensor | None, y: Tensor | None = None, **kwargs: Any) -> list[Tensor | None]:
        """Copies of the given batches, as they are kept: detached, float32 or float64."""
        if kwargs:
            raise ValueError(f"arguments {sorted(kwargs)} are unknown, allowed: y_pred and y.")
        kept: list[Tensor | None] = []
        for name, batch in zip(_NAMES, (y_pred, y), strict=True):
            if batch is not None and (batch.ndim != 2 or batch.is_complex()):
                raise ValueError(
                    f"{name} features have shape {tuple(batch.shape)} and are {batch.dtype}, expected real numbers of "
                    "shape (samples, features)."
                )
            kept.append(None if batch is None else batch.detach().to(_kept_dtype(batch), copy=True))
        return kept

    def gathered(self) -> tuple[Tensor, Tensor]:
        """All real and all synthetic features, ``(n, d)`` and ``(m, d)``, of all ranks in their order."""
        self._sync()
        synthetic, real = self._synced_tensors
        return real, synthetic

    def _sync(self) -> None:
        """Gathers the features of all ranks; also those take part that have none, whose peers would wait for ever."""
        buffers = self._buffers or [[] for _ in _NAMES]
        local = [[_width(rows), int(_is_double(rows)), int(not self._synced)] for rows in buffers]
        sizes, doubles, news = evenly_divisible_all_gather(torch.tensor([local])).unbind(dim=2)  # (ranks, sets) each
        if not bool(news.any()):
            return
        tensors = []
        for i, (name, rows) in enumerate(zip(_NAMES, buffers, strict=True)):
            widths = sorted({int(size) for size in sizes[:, i]} - {0})
            if len(widths) > 1:
                raise ValueError(f"{name} features of different ranks have different sizes: {widths}.")
            table = torch.stack(rows) if rows else torch.zeros(0, *widths or [0])
            table = table.double() if bool(doubles[:, i].any()) else table
            tensors.append(evenly_divisible_all_gather(table) if widths else table)
        self._synced_tensors, self._synced = tensors, True


def _as_table(features: Features | None) -> Tensor | None:
    if features is None or isinstance(features, Tensor):
        return features if features is None else features.as_subclass(Tensor)
    return torch.stack([torch.as_tensor(row).as_subclass(Tensor) for row in features])


def _kept_dtype(features: Tensor) -> torch.dtype:
    return torch.float64 if features.dtype == torch.float64 else torch.float32


def _width(rows: Sequence[Tensor]) -> int:
    return len(rows[0]) if rows else 0


def _is_double(rows: Sequence[Tensor]) -> bool:
    return any(row.dtype == torch.float64 for row in rows)
