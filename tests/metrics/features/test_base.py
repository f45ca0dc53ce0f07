# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from torch import Tensor

from monai_genaug.metrics import FeatureExtractor, RandomFeatures


class Means(FeatureExtractor):
    """Mean of each channel; remembers how many images it was given at once."""

    def __init__(self, batch_size: int = 3) -> None:
        super().__init__("means", 2, 3, (4, 4), 3, batch_size)
        self.calls: list[int] = []

    def features(self, x: Tensor) -> Tensor:
        self.calls.append(len(x))
        return x.flatten(2).mean(dim=2)


def pictures(count: int, channels: int = 1, size: int = 8) -> Tensor:
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(0))


def test_grey_is_repeated_and_chunks_keep_the_order() -> None:
    extract, images = Means(), pictures(7)
    rows = extract(images)
    assert extract.calls == [3, 3, 1]
    torch.testing.assert_close(rows, images.mean(dim=(1, 2, 3))[:, None].expand(7, 3), atol=0.03, rtol=0)
    assert extract(images[:0]).shape == (0, 3)


@pytest.mark.parametrize(("scaled", "value_range"), [(lambda x: 2 * x - 1, (-1, 1)), (lambda x: 255 * x, (0, 255))])
def test_value_range(scaled: object, value_range: tuple[float, float]) -> None:
    images = pictures(4, 3)
    torch.testing.assert_close(Means()(scaled(images), value_range), Means()(images), atol=1e-6, rtol=0)  # type: ignore[operator]


def test_integers_are_images_too() -> None:
    levels = (255 * pictures(4)).round().to(torch.uint8)
    torch.testing.assert_close(Means()(levels, (0, 255)), Means()(levels.float() / 255))


@pytest.mark.parametrize(
    ("images", "value_range", "text"),
    [
        (torch.rand(2, 2, 8, 8), (0, 1), r"shape \(2, 2, 8, 8\).* c of \[1, 3\]"),
        (torch.rand(2, 1, 8, 8, 8), (0, 1), "2 sizes"),
        (torch.rand(2, 1, 8, 8) - 0.5, (0, 1), r"from -0\.\d+ to 0\.\d+, value_range is \(0, 1\)"),
        (torch.full((1, 1, 8, 8), torch.nan), (0, 1), "from nan to nan"),
        (torch.rand(2, 1, 8, 8), (1, 1), r"value_range is \(1, 1\)"),
    ],
)
def test_bad_images_are_refused(images: Tensor, value_range: tuple[float, float], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Means()(images, value_range)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="batch_size is 0"):
        Means(0)
    with pytest.raises(ValueError, match="spatial_dims is 4"):
        RandomFeatures(4)


def test_rows_depend_on_no_batch_and_training_mode_is_refused() -> None:
    extract, images = RandomFeatures(), pictures(6, 3, 20)
    assert not extract.train().training
    assert not any(module.training for module in extract.modules())
    assert not any(parameter.requires_grad for parameter in extract.parameters())
    rows = extract(images.requires_grad_())
    assert rows.dtype == torch.float32
    assert not rows.requires_grad
    one_by_one = torch.cat([extract(image[None]) for image in images])
    torch.testing.assert_close(rows, one_by_one, atol=1e-5, rtol=1e-5)
