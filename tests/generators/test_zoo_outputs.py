# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from monai_genaug.generators import load_generator
from monai_genaug.generators.zoo_outputs import as_tensor, joined, outputs_of, part_of
from tests.generators.zoo_bundles import zoo_gan

MASKED = {
    "sample": "$(lambda x: {'pixels': x, 'labels': (x > 0.5).long() + (x > 0.7)})(@network(@genaug_noise).sigmoid())",
    "noise": {"id": "genaug_noise", "distribution": "normal", "shape": [6]},
    "outputs": {"image": "pixels", "mask": "labels"},
    "spec": {"mask_classes": ["background", "bright", "brightest"]},
}


def test_parts_by_key_or_position() -> None:
    image, mask = torch.rand(2, 1, 4, 4), torch.ones(2, 1, 4, 4, dtype=torch.long)
    for made, where in (
        ({"a": image, "b": mask}, {"image": "a", "mask": "b"}),
        ([mask, image], {"image": 1, "mask": 0}),
        ((image, mask.numpy()), {"image": 0, "mask": 1}),
    ):
        found = outputs_of(made, where, 2, 2)
        assert list(found) == ["image", "mask"]
        assert torch.equal(found["image"], image)
        assert torch.equal(found["mask"], mask.float())
    assert found["image"].data_ptr() != image.data_ptr()
    assert torch.equal(outputs_of(image, {}, 2, 2)["image"], image)
    assert torch.equal(outputs_of({"pred": image}, {}, 2, None)["image"], image)
    assert torch.equal(outputs_of({"a": image[0], "b": mask[0]}, {"image": "a", "mask": "b"}, 1, 2)["image"], image[:1])


@pytest.mark.parametrize(
    ("made", "where", "message"),
    [
        ({"a": torch.ones(1, 1, 4, 4)}, {"image": "b"}, r"names 'b', but the sample is dict with \['a'\]"),
        ([torch.ones(1, 1, 4, 4)], {"image": 0, "mask": 1}, "names 1, but the sample is list of 1"),
        (torch.ones(2, 1, 4, 4), {"image": 0}, "names 0, but the sample is Tensor"),
        ("file", {"image": 0}, "names 0, but the sample is str"),
        ((torch.ones(2, 1, 4, 4), torch.ones(2, 1, 4, 5)), {"image": 0, "mask": 1}, "different spatial shapes"),
        ("file", {}, "the recipe says in output_dir"),
        (torch.ones(2, 1, 4, 4, 4), {}, "has shape"),
        (torch.ones(3, 1, 4, 4), {}, "2 seeds gave 3 samples"),
    ],
)
def test_what_does_not_fit_is_named(made: Any, where: dict[str, int | str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        outputs_of(made, where, 2, 2)


def test_tensors_are_copied_and_joined() -> None:
    array = np.asfortranarray(np.arange(6, dtype=np.uint8).reshape(1, 2, 3))
    assert as_tensor(array).tolist() == array.tolist()
    assert as_tensor(array).dtype == torch.float32
    assert part_of({"a": 1, 0: 2}, 0) == 2
    assert joined([{"image": torch.zeros(1, 2)}, {"image": torch.ones(2, 2)}])["image"].sum(1).tolist() == [0, 2, 2]


def test_a_bundle_that_returns_an_image_and_a_mask(tmp_path: Path) -> None:
    generator = load_generator(zoo_gan(tmp_path / "bundle"), trust=True, recipe=MASKED)
    output = generator.spec.outputs["mask"]
    assert (output.kind, output.dtype, output.value_range) == ("mask", "uint8", (0, 2))
    assert output.class_names == ("background", "bright", "brightest")
    assert generator.spec.reproducible_batches
    made = generator.sample([1, 2, 3])
    expected = (made["image"] > 0.5).int() + (made["image"] > 0.7).int()
    assert torch.equal(made["mask"].int(), expected)
    assert made["mask"].dtype == torch.uint8
    assert set(made["mask"].unique().tolist()) == {0, 1, 2}


def test_labels_without_a_name_are_refused(tmp_path: Path) -> None:
    folder = zoo_gan(tmp_path / "bundle")
    generator = load_generator(folder, trust=True, recipe={**MASKED, "spec": {"mask_classes": ["dark", "bright"]}})
    with pytest.raises(ValueError, match=r"the values \[2.0\], allowed: 0 to 1"):
        generator.sample([1, 2, 3])
    halves = {**MASKED, "sample": "$(lambda x: {'pixels': x, 'labels': x})(@network(@genaug_noise).sigmoid())"}
    with pytest.raises(ValueError, match=r"a mask with the values \[0\."):
        load_generator(folder, trust=True, recipe=halves).sample([1])
    for names in (["one"], "mask", []):
        with pytest.raises(ValueError, match="allowed: 2 to 256 names"):
            load_generator(folder, trust=True, recipe={**MASKED, "spec": {"mask_classes": names}})
