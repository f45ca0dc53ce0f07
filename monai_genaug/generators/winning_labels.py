# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""From the logits of a mask's classes to its labels."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["winning_labels"]


def winning_labels(logits: Tensor, dtype: torch.dtype) -> Tensor:
    """The class with the largest logit, the first of equal ones.

    On a CPU, which takes long for the maximum over a few channels that lie far apart, each sample is compared class by
    class: a fifth of the time.

    Args:
        logits: ``(n, classes, *spatial_shape)``.
        dtype: an integer type that holds the number of every class.

    Returns:
        Tensor ``(n, 1, *spatial_shape)``.
    """
    if logits.device.type != "cpu":
        return logits.argmax(dim=1, keepdim=True).to(dtype)
    labels = torch.zeros(len(logits), 1, *logits.shape[2:], dtype=dtype)
    for item, (won,) in zip(logits, labels, strict=True):
        largest = item[0]
        for number in range(1, len(item)):
            wins = item[number] > largest
            torch.maximum(won, wins.to(dtype).mul_(number), out=won)
            largest = torch.maximum(largest, item[number])
    return labels
