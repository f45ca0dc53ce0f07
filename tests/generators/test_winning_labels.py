# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from monai_genaug.generators.winning_labels import winning_labels


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int64])
@pytest.mark.parametrize(("classes", "shape"), [(1, (4, 5)), (2, (7, 3)), (3, (4, 5, 6)), (255, (2, 2))])
def test_the_labels_are_those_of_argmax(classes: int, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    logits = torch.randn(3, classes + 1, *shape, generator=torch.Generator().manual_seed(0))[:, 1:]
    labels = winning_labels(logits, dtype)
    assert labels.dtype == dtype
    assert torch.equal(labels.long(), logits.argmax(dim=1, keepdim=True))


def test_of_equal_logits_the_first_wins() -> None:
    logits = torch.tensor([[[0.0, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 0.0, 1.0]]])
    assert winning_labels(logits, torch.uint8).tolist() == [[[1, 0, 0]]]
