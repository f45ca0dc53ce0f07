# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from monai_genaug.generators import FunctionGenerator, build_pool, image_spec
from monai_genaug.latent.draws import uniform
from monai_genaug.transforms import RandGenerativeSampled
from tests.toy_decoders import function_generator, global_noise, noise

SHAPE = (8, 8)
SPEC = image_spec("toy", SHAPE)
PAIR = image_spec("pair", SHAPE, mask_classes=("background", "organ"), classes=("a", "b"), truncation=True)


def paired(seeds: list[int], classes: list[int] | None, truncation: float) -> dict[str, Tensor]:
    assert classes is not None
    image = truncation * uniform(seeds, 64).float().view(-1, 1, 8, 8)
    return {"mask": (image > 0.5).to(torch.uint8), "image": (image + torch.tensor(classes).view(-1, 1, 1, 1)) / 2}


def test_the_function_gets_seeds_class_numbers_and_truncation() -> None:
    generator = FunctionGenerator(paired, PAIR)
    made = generator.sample([3, 4], ["b", "a"], truncation=0.5)
    expected = paired([3, 4], [1, 0], 0.5)
    assert list(made) == ["image", "mask"]
    assert all(torch.equal(made[name], expected[name]) for name in made)


def test_gradients_end_here() -> None:
    weight = torch.ones((), requires_grad=True)
    made = FunctionGenerator(lambda seeds, *_: weight * noise(seeds, None, 1)[:, :, 0], SPEC).sample([1])["image"]
    assert not made.requires_grad


@pytest.mark.parametrize("draw", [torch.rand, np.random.rand, lambda n: [random.random() for _ in range(n)]])
def test_global_states_are_a_function_of_the_seed(draw: Any) -> None:
    def function(seeds: list[int], classes: Any, truncation: float) -> Tensor:
        assert len(seeds) == 1
        return torch.as_tensor(draw(64)).float().view(1, 1, 8, 8)

    generator = FunctionGenerator(function, SPEC, uses_global_state=True)
    assert not generator.spec.reproducible_batches
    before = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())  # type: ignore[index]
    together = generator.sample([1, 2, 1, 1 + 2**32])["image"]
    assert torch.equal(together[2], together[0])
    assert not torch.equal(together[1], together[0])
    assert not torch.equal(together[3], together[0])
    assert torch.equal(generator.sample([2])["image"][0], together[1])
    after = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())  # type: ignore[index]
    assert before == after


def test_one_seed_per_call_without_global_state() -> None:
    calls: list[list[int]] = []

    def function(seeds: list[int], classes: Any, truncation: float) -> Tensor:
        calls.append(seeds)
        return noise(seeds, None, 1)[:, :, 0]

    FunctionGenerator(function, SPEC.replace(reproducible_batches=False)).sample([5, 6, 7])
    assert calls == [[5], [6], [7]]


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (torch.zeros(1, 8, 8), r"made 'image' as float32 \(1, 8, 8\), its spec says float32 \(1, 1, 8, 8\)"),
        (torch.zeros(1, 1, 8, 8, dtype=torch.float64), "as float64 .* says float32"),
        (torch.full((1, 1, 8, 8), 1.5), "from 1.5 to 1.5, its spec says 0.0 to 1.0"),
        (torch.full((1, 1, 8, 8), torch.nan), "from nan to nan"),
        ({"picture": torch.zeros(1, 1, 8, 8)}, r"returned \['picture'\], its spec says \('image',\)"),
        ({"image": [0.0]}, "returned 'image' as list, allowed: a tensor"),
        (np.zeros((1, 1, 8, 8)), "returned ndarray"),
        (None, "returned NoneType"),
    ],
)
def test_what_a_function_does_wrong_is_named(made: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        FunctionGenerator(lambda *_: made, SPEC).sample([1])


def test_a_tensor_for_two_outputs_is_refused() -> None:
    generator = FunctionGenerator(lambda *_: torch.zeros(1, 1, 8, 8), PAIR)
    with pytest.raises(ValueError, match=r"returned Tensor, its spec says \('image', 'mask'\)"):
        generator.sample([1], "a")


def test_arguments_are_checked() -> None:
    with pytest.raises(TypeError, match="function is 3, allowed"):
        FunctionGenerator(3, SPEC)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="has no encoder"):
        FunctionGenerator(noise, SPEC.replace(encodes=("image",)))


def test_functions_of_a_module_are_pickled_by_reference_and_others_refused() -> None:
    generator = function_generator()
    data = pickle.dumps(generator)
    assert b"tests.toy_decoders" in data
    assert torch.equal(pickle.loads(data).sample([1])["image"], generator.sample([1])["image"])
    with pytest.raises(TypeError, match=r"'toy' cannot be pickled, because its function .*<lambda> cannot .*define it"):
        pickle.dumps(FunctionGenerator(lambda *_: noise([1], None, 1), SPEC))


def test_the_hash_knows_function_and_version() -> None:
    spec = image_spec("toy", (8, 8, 8))
    digests = {
        FunctionGenerator(noise, spec).spec.sha256,
        FunctionGenerator(global_noise, spec).spec.sha256,
        FunctionGenerator(noise, spec.replace(version="2")).spec.sha256,
        FunctionGenerator(_Callable(), spec).spec.sha256,
        FunctionGenerator(torch.zeros, spec).spec.sha256,  # type: ignore[arg-type]
    }
    assert len(digests) == 5
    assert FunctionGenerator(noise, spec).spec.sha256 in digests
    assert FunctionGenerator(noise, spec.replace(sha256="a" * 64)).spec.sha256 == "a" * 64


class _Callable:
    def __call__(self, seeds: list[int], classes: Any, truncation: float) -> Tensor:
        return noise(seeds, classes, truncation)


def test_pools_and_transforms_take_it(tmp_path: Path) -> None:
    generator = FunctionGenerator(paired, PAIR)
    pool = build_pool(generator, {"a": 2, "b": 2}, tmp_path / "pool", progress=False)
    assert torch.equal(pool[3]["image"], generator.sample([pool.record.item_seed(3)], "b")["image"][0])
    item = {"image": torch.zeros(1, *SHAPE), "label": torch.zeros(1, *SHAPE), "class": "b"}
    made = RandGenerativeSampled(("image", "label"), generator, prob=1.0, class_key="class")(item)
    expected = generator.sample([made["image"].meta["synthetic_seed"]], "b")
    assert torch.equal(made["image"].as_tensor(), expected["image"][0])
    assert torch.equal(made["label"].as_tensor(), expected["mask"][0].float())
