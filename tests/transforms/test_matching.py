# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.transforms import ResizeWithPadOrCrop

from monai_genaug.transforms.matching import _extended


@pytest.mark.parametrize("shape", [(6, 9), (3, 4), (8, 3)])
def test_extends_as_numpy_pads_edges_and_crops_the_centre(shape: tuple[int, ...]) -> None:
    source = torch.arange(2 * 5 * 4, dtype=torch.float32).view(2, 5, 4)
    made = _extended(source, shape)
    assert made.shape == (2, *shape)
    plain = source.numpy()
    for axis, (size, wanted) in enumerate(zip((5, 4), shape, strict=True), start=1):
        if wanted < size:
            start = (size - wanted) // 2
            plain = plain.take(range(start, start + wanted), axis)
        else:
            before = (wanted - size) // 2
            widths = [(0, 0)] * 3
            widths[axis] = (before, wanted - size - before)
            plain = np.pad(plain, widths, mode="edge")
    np.testing.assert_array_equal(made.numpy(), plain)


def test_extends_as_the_preprocessing_pads() -> None:
    source = torch.rand(1, 31, 40, 24, generator=torch.Generator().manual_seed(0))
    expected = ResizeWithPadOrCrop((48, 64, 48), mode="edge")(source)
    assert torch.equal(_extended(source, (48, 64, 48)), torch.as_tensor(expected))
