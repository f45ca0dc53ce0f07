# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from torch import Tensor

from monai_genaug.latent.draws import standard_normal
from monai_genaug.quality.thumbnails import thumbnail, thumbnail_views


def picture(*size: int) -> Tensor:
    return standard_normal([1], torch.Size(size).numel()).reshape(size)


@pytest.mark.parametrize("size", [(1, 28, 28), (3, 40, 25), (2, 9, 12, 20)])
def test_brightness_and_contrast_play_no_part(size: tuple[int, ...]) -> None:
    image = picture(*size)
    made = thumbnail(image)
    assert made.shape == (size[0] * (256 if len(size) == 3 else 512),)
    assert float(made.mean()) == pytest.approx(0, abs=1e-6)
    assert float(made.norm()) == pytest.approx(1, abs=1e-6)
    assert torch.allclose(thumbnail(3.0 * image + 50.0), made, atol=1e-6)


def test_cells_are_means() -> None:
    image = picture(1, 32, 48)
    cells = image.reshape(16, 2, 16, 3).mean(dim=(1, 3)).flatten()
    cells = cells - cells.mean()
    assert torch.allclose(thumbnail(image).double(), cells / cells.norm(), atol=1e-6)


@pytest.mark.parametrize("level", [0.0, 1e-9, 7.3, 65535.0])
def test_no_contrast_is_zero(level: float) -> None:
    assert not thumbnail(torch.full((1, 30, 31), level)).any()


def test_views_are_the_thumbnails_of_changed_images() -> None:
    image, volume = picture(2, 28, 35), picture(1, 9, 10, 11)
    flat, deep = thumbnail_views(2, 2), thumbnail_views(1, 3)
    assert (len(flat), len(deep), next(iter(flat)), next(iter(deep))) == (8, 8, "identity", "identity")
    assert len({tuple(order.tolist()) for order in flat.values()}) == 8
    turned = image.rot90(3, (1, 2)).flip(2)
    assert torch.allclose(thumbnail(turned), thumbnail(image)[flat["rotated 270, mirrored"]], atol=1e-6)
    assert torch.allclose(thumbnail(volume.flip(1, 3)), thumbnail(volume)[deep["mirrored 02"]], atol=1e-6)
