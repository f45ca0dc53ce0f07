# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
import torch
from monai.transforms import NormalizeIntensityd, Resized, ResizeWithPadOrCrop

from monai_genaug.generators import LatentGenerator, VAEGenerator
from monai_genaug.transforms import RandGenerativeSample, RandGenerativeSampled, ReplaceWithSyntheticd
from monai_genaug.transforms.matching import _extended
from monai_genaug.transforms.synthesis import Mode
from tests.toy_families import family_network, family_spec


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


def whole_images(**changes: Any) -> LatentGenerator:
    """Makes 8 x 8 images that stand for pictures of any size."""
    network = family_network("joint_vae")
    made = VAEGenerator(network, family_spec(network, **changes))
    assert made.spec.fitting == "resize"
    return made


@pytest.mark.parametrize("spacing", [None, (1.0, 1.0)])
@pytest.mark.parametrize("mode", get_args(Mode))
@pytest.mark.parametrize("shape", [(28, 28), (8, 9), (4, 4)])
def test_samples_of_whole_images_are_never_padded(spacing: Any, mode: Mode, shape: tuple[int, int]) -> None:
    generator = whole_images(spacing=spacing)
    item = {"image": torch.full((1, *shape), 0.5)}
    words = rf"(?s)\({shape[0]}, {shape[1]}\).*\(8, 8\).*resize the items.*adapt=Resized"
    for prob in (0.0, 1.0):
        with pytest.raises(ValueError, match=words):
            RandGenerativeSampled("image", generator, prob=prob, mode=mode)(item)
    with pytest.raises(ValueError, match=words):
        RandGenerativeSample(generator, prob=1.0, mode=mode)(item["image"])
    fitting = {"image": torch.full((1, 8, 8), 0.5)}
    assert RandGenerativeSampled("image", generator, prob=1.0, mode=mode)(fitting)["image"].shape == (1, 8, 8)


def test_the_fixed_replacement_refuses_other_sizes_too() -> None:
    with pytest.raises(ValueError, match=r"(?s)\(28, 28\).*\(8, 8\).*adapt=Resized"):
        ReplaceWithSyntheticd("image", whole_images(), "id")({"image": torch.zeros(1, 28, 28), "id": 1})


def test_adapt_brings_samples_of_whole_images_to_the_items_size() -> None:
    generator = whole_images()
    item = {"image": torch.zeros(1, 28, 20)}
    transform = RandGenerativeSampled("image", generator, prob=1.0, adapt=Resized("image", (28, 20), mode="bilinear"))
    made = transform(item)["image"]
    sample = generator.sample([made.meta["synthetic_seed"]])["image"]
    expected = torch.nn.functional.interpolate(sample, (28, 20), mode="bilinear")[0]
    torch.testing.assert_close(made.as_tensor(), expected, rtol=0, atol=1e-5)
    for adapt in (NormalizeIntensityd("image"), Resized("image", (28, 28))):
        with pytest.raises(ValueError, match=r"(?s)adapt made shape \(1, .*has \(1, 28, 20\).*add Resized"):
            RandGenerativeSampled("image", generator, prob=1.0, adapt=adapt)(item)


def test_other_modes_name_the_way_that_they_have() -> None:
    with pytest.raises(ValueError, match="must be in the generator's space: adapt is not allowed"):
        RandGenerativeSampled("image", whole_images(), mode="edit", adapt=Resized("image", (28, 28)))


def test_voxels_of_known_size_are_still_padded() -> None:
    generator = whole_images().spec.replace(fitting="pad_or_crop", spacing=(1.0, 1.0))
    network = family_network("joint_vae")
    made = RandGenerativeSampled("image", VAEGenerator(network, generator), prob=1.0)({"image": torch.zeros(1, 12, 12)})
    assert not made["image"].as_tensor()[:, :2].any()
    assert made["image"].as_tensor()[:, 2:10, 2:10].all()
