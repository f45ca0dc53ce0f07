# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor, set_track_meta
from monai.transforms import (
    Compose,
    NormalizeIntensity,
    NormalizeIntensityd,
    Orientationd,
    RandFlipd,
    Resized,
    SpatialPadd,
)

from monai_genaug.generators import GeneratorSpec, LatentGenerator, SampleGenerator
from monai_genaug.transforms import (
    RandGenerativeSample,
    RandGenerativeSampleD,
    RandGenerativeSampled,
    RandGenerativeSampleDict,
    ReplaceWithSyntheticd,
)
from tests.toy import toy_generator

KEYS = ("image", "label")
MODES = ("sample", "reconstruct", "perturb", "edit", "interpolate")


class Unpaired(SampleGenerator):
    """Noise images: a generator without encoder and without truncation."""

    def __init__(self, spec: GeneratorSpec) -> None:
        super().__init__(spec.replace(encodes=(), truncation=False))

    def _generate(self, seeds: list[int], classes: Any, truncation: float) -> dict[str, torch.Tensor]:
        return {"image": torch.stack([torch.full((1, 16, 16), (seed % 97) / 97) for seed in seeds])}


def assert_same(one: torch.Tensor, other: torch.Tensor) -> None:
    """Equal up to the batch in which they were made: 1e-4 of an image's range, masks where labels are as likely."""
    one, other = torch.as_tensor(one), torch.as_tensor(other)
    assert one.shape == other.shape
    assert ((one.double() - other.double()).abs() > 1e-4).double().mean() <= (0 if one.is_floating_point() else 1e-3)


def test_aliases() -> None:
    assert RandGenerativeSampleD is RandGenerativeSampled is RandGenerativeSampleDict


@pytest.mark.parametrize("mode", [*MODES, "fixed"])
@pytest.mark.parametrize("kind", ["numpy", "tensor", "meta", "untracked"])
def test_output_takes_the_inputs_form(mode: Any, kind: str, generator: LatentGenerator, real: dict[str, Any]) -> None:
    item: dict[str, Any] = {"image": real["image"], "label": real["label"], "other": "kept"}
    if kind != "meta":
        item = {k: v.as_tensor() if k != "other" else v for k, v in item.items()}
    if kind == "numpy":
        item = {k: v.numpy() if k != "other" else v for k, v in item.items()}
    before = copy.deepcopy(item)
    if mode == "fixed":
        transforms = [ReplaceWithSyntheticd(KEYS, generator, "other", fraction=part) for part in (1.0, 0.0)]
    else:
        transforms = [RandGenerativeSampled(KEYS, generator, prob=prob, mode=mode) for prob in (1.0, 0.0)]
    set_track_meta(kind != "untracked")
    try:
        made, kept = (transform(item) for transform in transforms)
    finally:
        set_track_meta(True)
    assert made["is_synthetic"] is True
    assert kept["is_synthetic"] is False
    for key in KEYS:
        assert type(made[key]) is type(kept[key]) is (torch.Tensor if kind == "untracked" else MetaTensor)
        assert made[key].dtype == kept[key].dtype == real[key].dtype
        assert made[key].shape == kept[key].shape == real[key].shape
        assert np.array_equal(item[key], before[key]), "the input was changed"
        assert torch.equal(torch.as_tensor(kept[key]), torch.as_tensor(before[key]))
        assert not torch.equal(torch.as_tensor(made[key]), torch.as_tensor(before[key]))
    assert "is_synthetic" not in item
    assert made["other"] == "kept"
    assert set(made["label"].unique().tolist()) <= {0, 1, 2}
    if kind == "meta":
        assert made["image"].meta["filename_or_obj"] == real["image"].meta["filename_or_obj"]
        assert made["image"].applied_operations == real["image"].applied_operations
        assert torch.equal(made["image"].affine, real["image"].affine)


def test_sample_is_the_generators_for_the_recorded_seed(generator: LatentGenerator, real: dict[str, Any]) -> None:
    made = RandGenerativeSampled(KEYS, generator, prob=1.0, truncation=0.7)(real)
    seed = made["image"].meta["synthetic_seed"]
    assert type(seed) is int
    assert made["image"].meta["synthetic_generator"] == generator.spec.name
    assert made["label"].meta["synthetic_seed"] == seed
    sample = generator.sample([seed], truncation=0.7)
    assert_same(made["image"], sample["image"][0])
    assert_same(made["label"], sample["mask"][0])


def test_modes_are_the_generators(generator: LatentGenerator, real: dict[str, Any]) -> None:
    batch = {"image": real["image"].as_tensor()[None], "mask": real["label"].as_tensor()[None]}
    for mode in MODES[1:]:
        made = RandGenerativeSampled(KEYS, generator, prob=1.0, mode=mode, strength=0.5)(real)
        seeds = [made["image"].meta["synthetic_seed"]]
        arguments = () if mode == "reconstruct" else (seeds, 0.5)
        expected = getattr(generator, mode)(batch, *arguments)
        assert torch.allclose(made["image"].as_tensor(), expected["image"][0], atol=1e-5), mode
        assert torch.equal(made["label"].as_tensor(), expected["mask"][0]), mode


@pytest.mark.parametrize("shape", [(32, 40, 24), (35, 37, 24), (20, 45, 31)])
def test_edit_of_strength_zero_is_the_identity_for_any_shape(shape: tuple[int, ...]) -> None:
    generator = toy_generator((32, 40, 24))
    rng = np.random.RandomState(0)
    item = {"image": rng.rand(1, *shape).astype("float32"), "label": rng.randint(0, 3, (1, *shape)) * 10}
    mask_map = {0: 0, 10: "head", 20: "tail", 30: "tail"}
    item["label"][0, :3] = 30
    transform = RandGenerativeSampled(KEYS, generator, prob=1.0, mode="edit", strength=0.0, mask_map=mask_map)
    made = transform(item)
    assert made["is_synthetic"]
    for key in KEYS:
        assert np.array_equal(made[key], item[key])
    transform = RandGenerativeSampled(KEYS, generator, prob=1.0, mode="edit", strength=2.0, mask_map=mask_map)
    assert not np.array_equal(transform(item)["image"], item["image"])


def test_other_shapes_are_padded_and_cropped_about_the_centre(generator: LatentGenerator) -> None:
    item = {"image": torch.full((1, 36, 30, 24), 0.5), "label": torch.zeros(1, 36, 30, 24)}
    made = RandGenerativeSampled(KEYS, generator, prob=1.0)(item)
    sample = generator.sample([made["image"].meta["synthetic_seed"]])
    for key, name in (("image", "image"), ("label", "mask")):
        values = made[key].as_tensor()
        assert_same(values[:, 2:34].to(sample[name].dtype), sample[name][0, :, :, 5:35])
        assert not values[:, :2].any()
        assert not values[:, 34:].any()


@given(number=st.sampled_from(["float64", "float16", "float32"]))
@settings(max_examples=3)
def test_floating_types_are_kept(number: str) -> None:
    image = np.linspace(0, 1, 256, dtype=number).reshape(1, 16, 16)
    for mode in MODES:
        made = RandGenerativeSample(toy_generator((16, 16), mask=False), prob=1.0, mode=mode)(image)
        assert made.dtype == getattr(torch, number)


def seeds_of(transform: RandGenerativeSample, image: torch.Tensor, calls: int = 12) -> list[int | None]:
    """Seeds of the samples after ``set_random_state(3)``, None for items that stay."""
    transform.set_random_state(3)
    return [transform(image).meta.get("synthetic_seed") for _ in range(calls)]


def test_samples_do_not_depend_on_the_coins(plain: LatentGenerator, square: torch.Tensor) -> None:
    always, sometimes = (seeds_of(RandGenerativeSample(plain, prob=prob), square) for prob in (1.0, 0.5))
    assert len(set(always)) == 12
    used = [seed for seed in sometimes if seed is not None]
    assert 0 < len(used) < 12
    assert used == always[: len(used)]


@pytest.mark.parametrize("mode", MODES)
def test_coins_and_seeds_do_not_depend_on_the_mode_or_the_look_ahead(mode: Any, square: torch.Tensor) -> None:
    generators = [toy_generator((16, 16), mask=False) for _ in range(3)]
    for generator, look_ahead in zip(generators, (8, 1, 3), strict=True):
        generator.look_ahead = look_ahead
    drawn = [seeds_of(RandGenerativeSample(generators[0], prob=0.5, mode=mode), square)]
    drawn += [seeds_of(RandGenerativeSample(generator, prob=0.5), square) for generator in generators]
    assert drawn[0] == drawn[1] == drawn[2] == drawn[3]


def test_samples_of_a_class_do_not_depend_on_other_classes(classified: LatentGenerator, square: torch.Tensor) -> None:
    def seeds(labels: str) -> list[int]:
        transform = RandGenerativeSampled("image", classified, prob=1.0, class_key="y", class_map="identity")
        transform.set_random_state(3)
        made = [transform({"image": square, "y": int(label)})["image"].meta["synthetic_seed"] for label in labels]
        return [seed for label, seed in zip(labels, made, strict=True) if label == "1"]

    assert seeds("1111") == seeds("0110100010")


def test_setting_the_random_state_starts_again(plain: LatentGenerator, square: torch.Tensor) -> None:
    transform = RandGenerativeSample(plain, prob=1.0)
    first, again = seeds_of(transform, square, 3), seeds_of(transform, square, 3)
    assert first == again
    assert transform.set_random_state(4) is transform
    assert transform(square).meta["synthetic_seed"] not in first


def test_copies_carry_no_samples(plain: LatentGenerator, square: torch.Tensor) -> None:
    transform = RandGenerativeSample(plain, prob=1.0)
    before = len(pickle.dumps(transform))
    seeds_of(transform, square, 2)
    assert len(pickle.dumps(transform)) < before + 200
    copies = [copy.deepcopy(transform), pickle.loads(pickle.dumps(transform)), transform]
    assert len({copied(square).meta["synthetic_seed"] for copied in copies}) == 1


def test_global_random_state_is_left_alone(plain: LatentGenerator, square: torch.Tensor) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    RandGenerativeSample(plain, prob=1.0)(square)
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])


def test_instances_that_nobody_seeded_do_not_share_their_draws(plain: LatentGenerator, square: torch.Tensor) -> None:
    transforms = [RandGenerativeSample(plain, prob=1.0) for _ in range(4)]
    assert len({t(square).meta["synthetic_seed"] for t in transforms}) == 4
    assert len({id(t.R) for t in transforms}) == 4


def test_compose_seeds_reproduce(generator: LatentGenerator, real: dict[str, Any]) -> None:
    def run(seed: int) -> list[torch.Tensor]:
        chain = Compose([RandGenerativeSampled(KEYS, generator, prob=0.5), RandFlipd(KEYS, prob=0.5)])
        chain.set_random_state(seed)
        return [chain(real)["image"].as_tensor() for _ in range(4)]

    first, again, other = run(7), run(7), run(8)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_compose_randomize_needs_no_item(generator: LatentGenerator, recwarn: Any) -> None:
    Compose([RandGenerativeSampled(KEYS, generator)]).randomize(None)
    assert not [w for w in recwarn if "not randomized" in str(w.message)]


@pytest.mark.parametrize("mode", MODES)
def test_array_repeats_a_draw_without_randomize(mode: Any, plain: LatentGenerator, square: torch.Tensor) -> None:
    transform = RandGenerativeSample(plain, prob=1.0, mode=mode)
    first = transform(square)
    again, other = transform(square, randomize=False), transform(square)
    assert_same(first, again)
    assert first.meta["synthetic_seed"] == again.meta["synthetic_seed"] != other.meta["synthetic_seed"]


def test_array_applies_what_randomize_decided(plain: LatentGenerator, square: torch.Tensor) -> None:
    transform = RandGenerativeSample(plain, prob=1.0)
    assert torch.equal(transform(square, randomize=False).as_tensor(), square), "nothing was decided yet"
    transform.randomize()
    made = [transform(square, randomize=False) for _ in range(2)]
    assert not torch.equal(made[0].as_tensor(), square)
    assert_same(*made)
    transform.randomize()
    assert transform(square, randomize=False).meta["synthetic_seed"] != made[0].meta["synthetic_seed"]
    transform.prob = 0.0
    transform.randomize()
    assert torch.equal(transform(square, randomize=False).as_tensor(), square)


@pytest.mark.parametrize(
    ("class_map", "label", "class_id"),
    [
        (None, "malignant", 1),
        ({0: "malignant", 1: "benign"}, torch.tensor([0]), 1),
        ({"0": "malignant", "1": "benign"}, np.int64(0), 1),
        ({7: 0}, 7, 0),
        ({"cancer": "malignant"}, "cancer", 1),
        ({"cancer": "malignant"}, "benign", 0),
        ("identity", 1, 1),
        ("identity", np.array([0]), 0),
    ],
)
def test_labels_choose_the_class(
    class_map: Any, label: Any, class_id: int, classified: LatentGenerator, square: torch.Tensor
) -> None:
    transform = RandGenerativeSampled("image", classified, prob=1.0, class_key="y", class_map=class_map)
    made = transform({"image": square, "y": label})
    sample = classified.sample([made["image"].meta["synthetic_seed"]], class_id)["image"][0]
    assert torch.equal(made["image"].as_tensor(), sample)
    assert made["y"] is label


@pytest.mark.parametrize("prob", [{"malignant": 1.0}, {1: 1.0, "benign": 0.0}, {"1": 1.0}])
def test_probability_per_class(prob: Any, classified: LatentGenerator, square: torch.Tensor) -> None:
    transform = RandGenerativeSampled("image", classified, prob=prob, class_key="y", class_map="identity")
    flags = {y: transform({"image": square, "y": y})["is_synthetic"] for y in (0, 1, 2, "benign", "malignant")}
    assert flags == {0: False, 1: True, 2: False, "benign": False, "malignant": True}


def test_probability_per_class_of_a_generator_without_classes(plain: LatentGenerator, square: torch.Tensor) -> None:
    transform = RandGenerativeSampled("image", plain, prob={3: 1.0}, class_key="y")
    assert [transform({"image": square, "y": y})["is_synthetic"] for y in (2, 3)] == [False, True]


def test_mask_map_translates_both_ways(generator: LatentGenerator) -> None:
    image, labels = torch.rand(1, 32, 40, 24), torch.randint(0, 3, (1, 32, 40, 24))
    translated = torch.tensor([0, 40, 20])[labels]
    mask_map = {0: "background", 20: "tail", 40: "head"}
    for mode in ("sample", "reconstruct"):
        pair = []
        for mask, table in ((labels, None), (translated, mask_map)):
            transform = RandGenerativeSampled(KEYS, generator, prob=1.0, mode=mode, mask_map=table)
            transform.set_random_state(1)
            pair.append(transform({"image": image, "label": mask})["label"])
        assert torch.equal(torch.tensor([0, 40, 20])[pair[0].long()], pair[1].as_tensor())


def test_results_own_their_memory(generator: LatentGenerator, real: dict[str, Any]) -> None:
    """A view would keep, and send to other processes, all samples that were made with it."""
    transform = RandGenerativeSampled(KEYS, generator, prob=1.0)
    for tensor in (transform(real)[key].as_tensor() for key in KEYS):
        assert tensor.is_contiguous()
        assert tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()


def test_outputs_may_be_chosen(generator: LatentGenerator, real: dict[str, Any]) -> None:
    made = RandGenerativeSampled("image", generator, prob=1.0, outputs="image", synthetic_key=None)(real)
    assert torch.equal(made["label"], real["label"])
    assert not torch.equal(made["image"], real["image"])
    assert "is_synthetic" not in made


def test_allow_missing_keys(generator: LatentGenerator, real: dict[str, Any]) -> None:
    del real["label"]
    with pytest.raises(KeyError, match=r"\['label'\].*\['image'\]"):
        RandGenerativeSampled(KEYS, generator, prob=1.0)(real)
    transform = RandGenerativeSampled(KEYS, generator, prob=1.0, allow_missing_keys=True)
    assert transform(real)["is_synthetic"] is True
    assert transform({"x": 1}) == {"x": 1, "is_synthetic": False}


def test_an_item_that_came_as_synthetic_stays_so(generator: LatentGenerator, real: dict[str, Any]) -> None:
    for flag in (True, 1, torch.tensor([True]), np.bool_(True)):
        kept = RandGenerativeSampled(KEYS, generator, prob=0.0)({**real, "is_synthetic": flag})
        assert kept["is_synthetic"] is True
    assert RandGenerativeSampled(KEYS, generator, prob=0.0)({**real, "is_synthetic": False})["is_synthetic"] is False


def test_adapt_brings_samples_to_other_items(generator: LatentGenerator) -> None:
    item = {"image": torch.randn(1, 16, 20, 12) * 3, "label": torch.zeros(1, 16, 20, 12)}
    adapt = Compose([Resized(KEYS, (16, 20, 12), mode=("trilinear", "nearest")), NormalizeIntensityd("image")])
    made = RandGenerativeSampled(KEYS, generator, prob=1.0, adapt=adapt)(item)
    assert made["image"].shape == (1, 16, 20, 12)
    assert abs(float(made["image"].mean())) < 1e-3
    assert float(made["image"].std()) == pytest.approx(1.0, abs=1e-2)
    assert set(made["label"].unique().tolist()) <= {0, 1, 2}


def test_adapt_knows_the_generators_axes(generator: LatentGenerator, real: dict[str, Any]) -> None:
    labels = (("L", "R"), ("P", "A"), ("I", "S"))
    turned = Orientationd(KEYS, axcodes="SPL", labels=labels)
    made = RandGenerativeSampled(KEYS, generator, prob=1.0, adapt=turned)(turned(real))
    sample = generator.sample([made["image"].meta["synthetic_seed"]])
    assert_same(made["image"], sample["image"][0].permute(0, 3, 2, 1).flip(2, 3))
    assert_same(made["label"], sample["mask"][0].permute(0, 3, 2, 1).flip(2, 3))


def test_adapt_of_the_array_version(plain: LatentGenerator, square: torch.Tensor) -> None:
    made = pickle.loads(pickle.dumps(RandGenerativeSample(plain, prob=1.0, adapt=NormalizeIntensity())))(square * 5 - 2)
    assert abs(float(made.mean())) < 1e-3


def test_uint8_images_are_rounded(plain: LatentGenerator) -> None:
    spec = plain.spec
    assert spec.outputs["image"].value_range == (0.0, 1.0)
    made = RandGenerativeSample(plain, prob=1.0)(torch.randint(0, 2, (1, 16, 16), dtype=torch.uint8))
    sample = plain.sample([made.meta["synthetic_seed"]])["image"][0]
    assert_same(made, sample.round().to(torch.uint8))


BAD_ARGUMENTS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"generator": "no_such_bundle"}, ValueError, "no_such_bundle"),
    ({"prob": 1.5}, ValueError, "1.5.*0 to 1"),
    ({"prob": float("nan")}, ValueError, "nan"),
    ({"prob": {"benign": 0.5}}, ValueError, "class_key"),
    ({"mode": "invent"}, ValueError, "invent.*reconstruct"),
    ({"outputs": ("image", "depth")}, ValueError, "depth.*mask"),
    ({"keys": "image"}, ValueError, "parallel"),
    ({"keys": ()}, ValueError, "non empty"),
    ({"keys": ("image", "image")}, ValueError, "repeat"),
    ({"class_key": "y"}, ValueError, "no classes"),
    ({"class_map": {0: "a"}}, ValueError, "no classes"),
    ({"class_map": "same"}, ValueError, "'identity'"),
    ({"mask_map": {0: "background", 5: "wing"}}, ValueError, "wing.*tail"),
    ({"mask_map": {0: "background", 5: "head"}}, ValueError, "tail"),
    ({"strength": -1.0, "mode": "edit"}, ValueError, "-1.0"),
    ({"strength": 2.0, "mode": "interpolate"}, ValueError, "2.0"),
    ({"truncation": 0.0}, ValueError, "0.0"),
    ({"adapt": RandFlipd(KEYS)}, ValueError, "RandFlipd"),
    ({"adapt": Compose([Resized(KEYS, 8), Compose([RandFlipd(KEYS)])])}, ValueError, "RandFlipd"),
    ({"adapt": 3}, TypeError, "3"),
    ({"adapt": SpatialPadd(KEYS, 8), "mode": "edit"}, ValueError, "adapt"),
    ({"keys": "image", "outputs": "image", "mode": "edit"}, ValueError, "mask"),
    ({"keys": "image", "outputs": "image", "mask_map": "identity"}, ValueError, "no mask"),
]


@pytest.mark.parametrize(("change", "error", "text"), BAD_ARGUMENTS)
def test_bad_arguments(change: dict[str, Any], error: type[Exception], text: str, generator: LatentGenerator) -> None:
    with pytest.raises(error, match=f"(?s){text}"):
        RandGenerativeSampled(**{"keys": KEYS, "generator": generator, **change})


def test_bad_arguments_for_classes(classified: LatentGenerator) -> None:
    with pytest.raises(ValueError, match="class_key"):
        RandGenerativeSampled("image", classified)
    with pytest.raises(ValueError, match=r"(?s)wing.*malignant"):
        RandGenerativeSampled("image", classified, class_key="y", class_map={0: "wing"})
    with pytest.raises(ValueError, match="twice"):
        RandGenerativeSampled("image", classified, {0: 0.1, "benign": 0.2}, class_key="y", class_map="identity")
    with pytest.raises(ValueError, match=r"(?s)0 does not name.*class_map"):
        RandGenerativeSampled("image", classified, {0: 0.1}, class_key="y")


def test_generators_without_encoder_or_truncation(plain: LatentGenerator, square: torch.Tensor) -> None:
    noise = Unpaired(plain.spec)
    with pytest.raises(TypeError, match="encoder"):
        RandGenerativeSample(noise, mode="edit")
    with pytest.raises(ValueError, match=r"0.5"):
        RandGenerativeSample(noise, truncation=0.5)
    assert RandGenerativeSample(noise, prob=1.0)(square).unique().numel() == 1


def test_array_version_is_for_one_output(generator: LatentGenerator) -> None:
    with pytest.raises(ValueError, match=r"(?s)image.*mask.*dictionary"):
        RandGenerativeSample(generator)


@pytest.mark.parametrize("prob", [0.0, 1.0])
@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"image": "volume.nii"}, TypeError, "str.*after loading"),
        ({"image": torch.zeros(1, 16, 16)}, ValueError, r"\(1, 16, 16\).*\(1, 32, 40, 24\)"),
        ({"image": torch.zeros(2, 32, 40, 24)}, ValueError, "2 channels"),
        ({"label": torch.zeros(3, 32, 40, 24)}, ValueError, "one-hot"),
        ({"image": torch.full((1, 32, 40, 24), 1.06)}, ValueError, r"1.06.*0 to 1"),
        ({"image": torch.full((1, 32, 40, 24), -0.06)}, ValueError, r"-0.06.*0 to 1"),
        ({"image": torch.full((1, 32, 40, 24), torch.nan)}, ValueError, "NaN"),
        ({"image": torch.full((1, 32, 40, 24), torch.inf)}, ValueError, "infinite"),
        ({"label": torch.full((1, 32, 40, 24), 7)}, ValueError, r"7.*0, 1, 2"),
        ({"label": torch.full((1, 32, 40, 24), 0.5)}, ValueError, "0.5"),
        (
            {"image": MetaTensor(torch.zeros(1, 32, 40, 24), affine=torch.diag(torch.tensor([2.0, 1, 1, 1])))},
            ValueError,
            r"\(2.0, 1.0, 1.0\).*\(1.0, 1.0, 1.0\)",
        ),
        (
            {"label": MetaTensor(torch.zeros(1, 32, 40, 24), affine=torch.diag(torch.tensor([-1.0, -1, 1, 1])))},
            ValueError,
            r"'label' has voxel axes LPS.*makes RAS.*Orientationd\(axcodes='RAS'\)",
        ),
    ],
)
def test_items_that_do_not_fit_are_refused_on_every_call(
    prob: float, change: dict[str, Any], error: type[Exception], text: str, generator: LatentGenerator
) -> None:
    item = {"image": torch.full((1, 32, 40, 24), 1.04), "label": torch.zeros(1, 32, 40, 24)}
    transform = RandGenerativeSampled(KEYS, generator, prob=prob)
    transform(item)
    changed = {**item, **change}
    before = dict(changed)
    with pytest.raises(error, match=f"(?s){text}"):
        transform(changed)
    assert all(changed[key] is before[key] for key in before)
    assert changed.keys() == before.keys()


def test_axes_are_compared_where_both_sides_know_theirs(real: dict[str, Any]) -> None:
    """An identity affine is what nobody set; oblique axes count as the nearest ones."""
    turned = toy_generator((32, 40, 24))
    turned._spec = turned.spec.replace(orientation="LPS")  # type: ignore[attr-defined]
    oblique = MetaTensor(real["image"].as_tensor(), affine=torch.eye(4, dtype=torch.float64))
    oblique.affine[:2, :2] = torch.tensor([[0.96, -0.28], [0.28, 0.96]])
    image = {"none": real["image"].as_tensor(), "RAS": oblique, "identity": MetaTensor(real["image"].as_tensor())}
    for name, orientation, fits in (
        ("none", "LPS", True),
        ("identity", "LPS", True),
        ("RAS", "LPS", False),
        ("RAS", "RAS", True),
        ("RAS", None, True),
    ):
        turned._spec = turned.spec.replace(orientation=orientation)  # type: ignore[attr-defined]
        transform = RandGenerativeSampled(KEYS, turned, prob=1.0)
        item = {"image": image[name], "label": real["label"].as_tensor()}
        if fits:
            assert transform(item)["is_synthetic"]
            continue
        with pytest.raises(ValueError, match="has voxel axes RAS, generator 'toy' makes LPS"):
            transform(item)
        set_track_meta(False)
        try:
            assert transform(item)["is_synthetic"]
        finally:
            set_track_meta(True)


def test_labels_that_do_not_fit_are_refused(classified: LatentGenerator, square: torch.Tensor) -> None:
    transform = RandGenerativeSampled("image", classified, prob=0.0, class_key="y")
    with pytest.raises(KeyError, match="y"):
        transform({"image": square})
    with pytest.raises(ValueError, match=r"(?s)0 does not name.*benign.*malignant.*class_map"):
        transform({"image": square, "y": 0})
    with pytest.raises(ValueError, match=r"(?s)'cyst'.*malignant"):
        transform({"image": square, "y": "cyst"})
    with pytest.raises(ValueError, match="one element"):
        transform({"image": square, "y": torch.tensor([0, 1])})
    mapped = RandGenerativeSampled("image", classified, class_key="y", class_map={0: "malignant"})
    with pytest.raises(ValueError, match=r"(?s)5 does not name.*class_map.*0"):
        mapped({"image": square, "y": 5})
    array = RandGenerativeSample(classified)
    with pytest.raises(ValueError, match="needs a class label"):
        array(square)
    with pytest.raises(ValueError, match="no classes"):
        RandGenerativeSample(toy_generator((16, 16), mask=False))(square, class_label=1)


def test_shape_without_spacing_must_agree(plain: LatentGenerator) -> None:
    noise = Unpaired(plain.spec.replace(spacing=None))
    with pytest.raises(ValueError, match=r"(?s)\(20, 16\).*\(16, 16\).*resize"):
        RandGenerativeSample(noise)(torch.zeros(1, 20, 16))


def test_adapt_must_fit_the_item(generator: LatentGenerator) -> None:
    item = {"image": torch.zeros(2, 32, 40, 24), "label": torch.zeros(1, 32, 40, 24)}
    with pytest.raises(ValueError, match=r"(?s)adapt made shape.*image"):
        RandGenerativeSampled(KEYS, generator, prob=1.0, adapt=NormalizeIntensityd("image"))(item)


def test_prob_can_be_set_and_deep_copies_share_it(plain: LatentGenerator, square: torch.Tensor) -> None:
    transform = RandGenerativeSampled("image", plain, prob=0.0)
    copied = copy.deepcopy(transform)
    transform.prob = 1.0
    assert copied.prob == 1.0
    assert copied({"image": square})["is_synthetic"]
    with pytest.raises(ValueError, match="-1"):
        transform.prob = -1
    assert transform.prob == 1.0
