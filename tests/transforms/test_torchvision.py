# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate
from torchvision import tv_tensors
from torchvision.transforms import v2

from monai_genaug.generators import (
    FunctionGenerator,
    LatentGenerator,
    Provenance,
    SampleGenerator,
    build_pool,
    content_hash,
    image_spec,
    preprocessing_for,
)
from monai_genaug.quality import LeakageError
from monai_genaug.transforms.torchvision import RandomGenerativeSample
from tests.ranks import run_ranks
from tests.toy import toy_generator
from tests.toy_families import family_generator

SHAPE = (16, 16)
CLASSES = ("benign", "malignant")


class Recorder(SampleGenerator):
    """Constant images of a seed, colours if asked for; it remembers what it was called with."""

    def __init__(
        self, channels: int = 1, classes: Sequence[str] = (), value_range: tuple[float, float] = (0, 1)
    ) -> None:
        super().__init__(image_spec("recorder", SHAPE, channels, classes, value_range=value_range))
        self.calls: list[tuple[list[int], list[int] | None]] = []

    def _generate(self, seeds: list[int], classes: list[int] | None, truncation: float) -> dict[str, Tensor]:
        self.calls.append((seeds, classes))
        low, high = self.spec.outputs["image"].value_range
        values = torch.tensor([low + (high - low) * (seed % 1009) / 1009 for seed in seeds])
        channels = self.spec.outputs["image"].channels
        return {"image": values.view(-1, 1, 1, 1).expand(-1, channels, *SHAPE).contiguous()}

    @property
    def seeds(self) -> list[int]:
        return [seed for seeds, _ in self.calls for seed in seeds]


@pytest.fixture(scope="module")
def paired() -> LatentGenerator:
    """Images and masks with three labels."""
    return toy_generator(SHAPE)


def ramp(channels: int = 1, dtype: torch.dtype = torch.uint8) -> Tensor:
    values = torch.linspace(0, 1, 256).reshape(1, *SHAPE).expand(channels, -1, -1)
    return v2.functional.to_dtype(values.contiguous(), dtype, scale=True)


def test_tv_images_keep_type_dtype_and_size(plain: LatentGenerator) -> None:
    for dtype in (torch.uint8, torch.float32, torch.float16, torch.float64):
        image = tv_tensors.Image(ramp(dtype=dtype))
        before = image.clone()
        for p in (0.0, 1.0):
            made = RandomGenerativeSample(plain, p)(image)
            assert type(made) is tv_tensors.Image
            assert made.dtype == dtype
            assert made.shape == image.shape
            assert torch.equal(made, image) == (p == 0.0)
        assert torch.equal(image, before), "the input was changed"


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_pil_images_keep_mode_and_size(mode: str) -> None:
    generator = Recorder(len(mode))
    image = PIL.Image.fromarray(np.tile(np.uint8(7), (16, 16) if mode == "L" else (16, 16, 3)))
    made = RandomGenerativeSample(generator, 1.0)(image)
    assert isinstance(made, PIL.Image.Image)
    assert (made.mode, made.size) == (mode, image.size)
    assert np.unique(np.asarray(made)).tolist() == [round(255 * (generator.seeds[0] % 1009) / 1009)]
    assert RandomGenerativeSample(generator, 0.0)(image) is image


@pytest.mark.parametrize("value_range", [(0.0, 1.0), (-1000.0, 400.0)])
def test_colours_are_the_ends_of_the_value_range(value_range: tuple[float, float]) -> None:
    generator = Recorder(value_range=value_range)
    transform = RandomGenerativeSample(generator, 1.0)
    colours, bytes_ = transform(ramp(dtype=torch.float32)), transform(ramp())
    expected = [(seed % 1009) / 1009 for seed in generator.seeds]
    assert colours.unique().tolist() == pytest.approx(expected[:1], abs=1e-5)
    assert bytes_.unique().tolist() == [round(255 * expected[1])]


def test_a_sample_is_the_generator_s_for_one_seed_and_class(classified: LatentGenerator) -> None:
    torch.manual_seed(3)
    transform = RandomGenerativeSample(classified, 1.0, truncation=0.5)
    image, label = transform(tv_tensors.Image(ramp(dtype=torch.float32)), "malignant")
    assert label == "malignant"
    assert image.mean() > 0.5  # as this toy class is
    torch.manual_seed(3)
    recorded = Recorder(classes=CLASSES)
    RandomGenerativeSample(recorded, 1.0)(ramp(), "malignant")
    [([seed], [number])] = recorded.calls
    assert number == 1
    assert torch.allclose(image.as_subclass(Tensor), classified.sample([seed], 1, 0.5)["image"][0], atol=1e-4)


@pytest.mark.parametrize(
    ("sample", "options"),
    [
        ((ramp(), "malignant"), {}),
        ((ramp(), 1), {"class_map": "identity"}),
        ((ramp(), torch.tensor(7)), {"class_map": {7: "malignant", 3: "benign"}}),
        ((ramp(), np.int64(1)), {"class_map": {1: "malignant"}}),
        ([ramp(), {"Labels": "malignant", "label_source": "report"}], {}),
        ({"name": "x", "image": tv_tensors.Image(ramp()), "class_label": "malignant"}, {}),
        ({"class": "malignant", "image": tv_tensors.Image(ramp())}, {"labels_getter": lambda item: item["class"]}),
    ],
)
def test_labels_are_found_in_usual_structures(sample: Any, options: Any) -> None:
    generator = Recorder(classes=CLASSES)
    before = copy.deepcopy(sample)
    made = RandomGenerativeSample(generator, 1.0, **options)(sample)
    assert type(made) is type(sample)
    assert generator.calls[0][1] == [1]
    kept = [leaf for leaf in torch.utils._pytree.tree_leaves(made) if isinstance(leaf, str)]
    assert kept == [leaf for leaf in torch.utils._pytree.tree_leaves(before) if isinstance(leaf, str)]


def test_several_arguments_and_compose(classified: LatentGenerator) -> None:
    transform = v2.Compose(
        [
            v2.Resize(SHAPE),
            RandomGenerativeSample(classified, 0.5, class_map="identity"),
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True),
        ]
    )
    image, label, other = transform(tv_tensors.Image(torch.zeros(1, 30, 40, dtype=torch.uint8)), 1, "kept")
    assert image.shape == (1, *SHAPE)
    assert image.dtype == torch.float32
    assert (label, other) == (1, "kept")


@pytest.mark.parametrize("shape", [SHAPE, (1, *SHAPE)])
def test_masks_come_with_their_images(paired: LatentGenerator, shape: tuple[int, ...]) -> None:
    mask = tv_tensors.Mask(torch.zeros(shape, dtype=torch.int32))
    torch.manual_seed(0)
    image, made = RandomGenerativeSample(paired, 1.0, mask_map={0: 0, 5: "head", 9: "tail"})(
        tv_tensors.Image(ramp(dtype=torch.float32)), mask
    )
    assert type(made) is tv_tensors.Mask
    assert (made.dtype, made.shape) == (torch.int32, mask.shape)
    assert set(made.unique().tolist()) <= {0, 5, 9}
    torch.manual_seed(0)
    recorder = Recorder()
    RandomGenerativeSample(recorder, 1.0)(ramp())
    expected = paired.sample(recorder.seeds)
    assert torch.allclose(image.as_subclass(Tensor), expected["image"][0], atol=1e-4)
    labels = made.as_subclass(Tensor).view(1, *SHAPE)
    assert ((labels == 9) != (expected["mask"][0] == 2)).float().mean() < 1e-3


def test_image_and_mask_without_each_other_are_refused(paired: LatentGenerator, plain: LatentGenerator) -> None:
    image, mask = tv_tensors.Image(ramp()), tv_tensors.Mask(torch.zeros(SHAPE, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"0 masks .* give outputs=\('image',\)"):
        RandomGenerativeSample(paired, 0.0)(image)
    with pytest.raises(ValueError, match=r"has a Mask, but generator 'toy' makes none: .* outputs=\('image',\)"):
        RandomGenerativeSample(plain, 0.0)(image, mask)
    for generator in (paired, plain):
        made, kept = RandomGenerativeSample(generator, 1.0, outputs=("image",))(image, mask)
        assert kept is mask
        assert not torch.equal(made, image)
    made = RandomGenerativeSample(paired, 1.0, outputs="image")(image)
    assert type(made) is tv_tensors.Image


def test_other_annotations_would_be_wrong(plain: LatentGenerator) -> None:
    boxes = tv_tensors.BoundingBoxes(torch.zeros(1, 4), format="XYXY", canvas_size=SHAPE)
    with pytest.raises(ValueError, match=r"\['BoundingBoxes'\], which generator 'toy' does not make"):
        RandomGenerativeSample(plain)(tv_tensors.Image(ramp()), boxes)


def test_modes_encode_the_image(plain: LatentGenerator, paired: LatentGenerator) -> None:
    image = ramp()
    kept = RandomGenerativeSample(plain, 1.0, mode="edit", strength=0.0)(image)
    assert torch.equal(kept, image)
    made = RandomGenerativeSample(plain, 1.0, mode="reconstruct")(tv_tensors.Image(ramp(dtype=torch.float32)))
    expected = plain.reconstruct({"image": ramp(dtype=torch.float32)[None]})["image"][0]
    assert torch.allclose(made.as_subclass(Tensor), expected, atol=1e-4)
    with pytest.raises(TypeError, match="needs an encoder"):
        RandomGenerativeSample(Recorder(), mode="edit")
    mask = tv_tensors.Mask(torch.ones(SHAPE, dtype=torch.uint8))
    assert torch.equal(RandomGenerativeSample(paired, 1.0, mode="edit", strength=0.0)(image, mask)[1], mask)


def test_adapt_expresses_sizes_channels_and_normalisation(paired: LatentGenerator) -> None:
    adapt = v2.Compose([v2.Resize((20, 24)), v2.Grayscale(3)])
    generator = family_generator("gan")  # 8 x 8, whole images
    colour = RandomGenerativeSample(generator, 1.0, adapt=adapt)(tv_tensors.Image(torch.zeros(3, 20, 24).byte()))
    assert colour.shape == (3, 20, 24)
    assert torch.equal(colour[0], colour[2])
    assert colour.dtype == torch.uint8
    assert colour.max() > 0
    normalise = v2.Normalize([0.5], [0.25])
    normal = RandomGenerativeSample(paired, 1.0, outputs="image", adapt=normalise)(
        tv_tensors.Image(ramp(1, torch.float32) * 4 - 2)
    )
    assert normal.min() < -0.5
    mask = tv_tensors.Mask(torch.zeros(20, 24, dtype=torch.uint8))
    image, made = RandomGenerativeSample(paired, 1.0, adapt=adapt)(PIL.Image.new("RGB", (24, 20)), mask)
    assert image.mode == "RGB"
    assert set(made.unique().tolist()) <= {0, 1, 2}


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (ramp(3), "has 3 channels, generator 'recorder' makes 1"),
        (PIL.Image.new("RGB", SHAPE), "has 3 channels, generator 'recorder' makes 1"),
        (PIL.Image.new("RGBA", SHAPE), r"mode 'RGBA', allowed: \('L', 'RGB'\)"),
        (torch.zeros(1, 20, 16), r"spatial shape \(20, 16\), generator 'recorder' makes \(16, 16\)"),
        (ramp(dtype=torch.float32) * 4 - 2, r"values from -2 to 2, allowed: torch.uint8, or floats in \[0, 1\]"),
        (ramp(dtype=torch.float32) * torch.nan, "values from nan to nan"),
        (ramp().long(), "is torch.int64, allowed: torch.uint8, or floats"),
        (torch.zeros(16), r"shape \(16,\), allowed"),
        ([ramp(), ramp().numpy(), tv_tensors.Image(ramp()), tv_tensors.Image(ramp())], "has 2 images"),
        ("text", "has 0 images"),
    ],
)
def test_images_that_do_not_fit_are_named_also_where_the_coin_says_no(image: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        RandomGenerativeSample(Recorder(), 0.0)(image)


def test_labels_that_do_not_fit_are_named() -> None:
    generator = Recorder(classes=CLASSES)
    with pytest.raises(ValueError, match=r"class label 1 does not name a class .* give class_map"):
        RandomGenerativeSample(generator, 0.0)(ramp(), 1)
    with pytest.raises(ValueError, match="no label where samples usually have it"):
        RandomGenerativeSample(generator)(ramp())
    with pytest.raises(ValueError, match="no label where samples usually have it"):
        RandomGenerativeSample(generator, outputs="image")(tv_tensors.Image(ramp()), tv_tensors.Mask(ramp()))
    with pytest.raises(ValueError, match=r"labels have shape \(2, 2\), needed: \(2,\), .* before MixUp"):
        RandomGenerativeSample(generator)(torch.zeros(2, 1, *SHAPE), torch.eye(2))


def spec_of(shape: tuple[int, ...], **options: Any) -> FunctionGenerator:
    return FunctionGenerator(lambda *_: torch.zeros(1, 1, *shape), image_spec("x", shape, **options))


@pytest.mark.parametrize(
    ("generator", "options", "words"),
    [
        (spec_of((8, 8, 8)), {}, r"makes \(8, 8, 8\), but torchvision's images have two axes"),
        (spec_of(SHAPE), {"p": 1.5}, "prob is 1.5"),
        (spec_of(SHAPE), {"outputs": ("mask",)}, r"outputs \['mask'\] are unknown"),
        (spec_of(SHAPE, mask_classes=("a", "b")), {"outputs": "mask"}, "one image and at most one mask"),
        (spec_of(SHAPE, classes=CLASSES), {"labels_getter": None}, "labels_getter is None, but"),
        (spec_of(SHAPE), {"labels_getter": "other"}, "labels_getter is 'other', allowed"),
        (spec_of(SHAPE), {"class_map": {1: "a"}}, "has no classes"),
        (spec_of(SHAPE), {"truncation": 0.5}, "truncation is 0.5"),
    ],
)
def test_arguments_are_checked(generator: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        RandomGenerativeSample(generator, **options)
    with pytest.raises(TypeError, match="adapt is 3"):
        RandomGenerativeSample(spec_of(SHAPE), adapt=3)  # type: ignore[arg-type]


def test_held_out_items_are_looked_for_among_the_training_items() -> None:
    items = [{"image": ramp(dtype=torch.float32) ** power} for power in (1, 2, 3)]
    spec = image_spec("trained", SHAPE, intensity="range", intensity_range=(0.0, 1.0))
    hashed = content_hash(preprocessing_for(spec, ["image"], load=False)(items[1])["image"])
    trained = FunctionGenerator(seed_image, spec.replace(provenance=Provenance("toy", item_hashes=(hashed,))))
    with pytest.raises(LeakageError, match="1 of 3 items are training items"):
        RandomGenerativeSample(trained, held_out=items, on_overlap="raise")
    RandomGenerativeSample(trained, held_out=[items[0], items[2]], on_overlap="raise")


def test_batches_have_a_coin_and_a_seed_per_item() -> None:
    generator = Recorder(3, CLASSES)
    images = torch.randint(0, 255, (64, 3, *SHAPE), dtype=torch.uint8)
    labels = torch.arange(64) % 2
    before = images.clone()
    made, kept = RandomGenerativeSample(generator, 0.5, class_map="identity")(images, labels)
    assert kept is labels
    assert torch.equal(images, before)
    changed = (made != images).flatten(1).any(dim=1)
    assert 16 < changed.sum() < 48
    assert len(set(generator.seeds)) == len(generator.seeds) == changed.sum()
    assert len(generator.calls) == 1 + (len(generator.seeds) > generator.batch_size)
    assert [number for _, classes in generator.calls for number in classes or ()] == labels[changed].tolist()
    expected = [round(255 * (seed % 1009) / 1009) for seed in generator.seeds]
    assert made[changed][:, 0, 0, 0].tolist() == expected


def test_probabilities_of_classes_also_of_unknown_ones() -> None:
    generator = Recorder(classes=CLASSES)
    transform = RandomGenerativeSample(generator, {"malignant": 1.0}, class_map={1: "malignant"})
    images, labels = torch.zeros(6, 1, *SHAPE), torch.tensor([1, 0, 2, 1, 1, 0])
    made, _ = transform(images, labels)
    assert (made.flatten(1).any(dim=1) == (labels == 1)).all()
    assert transform.p == {1: 1.0}
    assert "generator='recorder', p={1: 1.0}, mode='sample'" in repr(transform)


def test_batches_of_pairs(paired: LatentGenerator) -> None:
    images = torch.rand(5, 1, *SHAPE)
    for shape in ((5, *SHAPE), (5, 1, *SHAPE)):
        masks = tv_tensors.Mask(torch.zeros(shape, dtype=torch.uint8))
        made = RandomGenerativeSample(paired, 1.0)({"image": images, "mask": masks})
        assert type(made["mask"]) is tv_tensors.Mask
        assert made["mask"].shape == shape
        assert made["image"].shape == images.shape
        assert made["mask"].any()
    with pytest.raises(ValueError, match="the batch has 5 images and 4 masks"):
        RandomGenerativeSample(paired, 1.0)(images, tv_tensors.Mask(torch.zeros(4, *SHAPE)))


def test_manual_seed_reproduces_and_nothing_else_moves_the_global_state(plain: LatentGenerator) -> None:
    def run(p: float) -> tuple[list[Tensor], Tensor]:
        torch.manual_seed(5)
        transform = RandomGenerativeSample(plain, p)
        return [transform(ramp(dtype=torch.float32)) for _ in range(4)], torch.rand(3)

    (first, after), (second, again) = run(0.5), run(0.5)
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    assert torch.equal(after, again)
    assert torch.equal(after, run(0.0)[1])  # neither coins nor samples change what others draw
    assert len({tuple(image.flatten().tolist()) for image in run(1.0)[0]}) == 4


def test_pools_and_deep_copies_and_pickles(plain: LatentGenerator, tmp_path: Path) -> None:
    pool = build_pool(plain, 4, tmp_path / "pool", progress=False)
    transform = RandomGenerativeSample(pool, 1.0)
    for again in (transform, copy.deepcopy(transform), pickle.loads(pickle.dumps(transform))):
        torch.manual_seed(1)
        made = again(ramp(dtype=torch.float32))
        assert any(torch.allclose(made, pool[i]["image"], atol=1e-5) for i in range(4))


class Images(Dataset[tuple[Tensor, int]]):
    """Black images; what is not black was made."""

    def __init__(self, transform: Any, count: int = 12) -> None:
        self.transform, self.count = transform, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        return self.transform(tv_tensors.Image(torch.zeros(1, *SHAPE)), index % 2)


def seed_image(seeds: list[int], classes: list[int] | None, truncation: float) -> Tensor:
    """The bits of the seed as an image."""
    bits = torch.tensor([[float(seed >> bit & 1) for bit in range(63)] + [1.0] for seed in seeds])
    return bits.repeat(1, 4).view(-1, 1, *SHAPE)


def loaded(workers: int, collate: bool, epochs: int = 2) -> list[Tensor]:
    generator = FunctionGenerator(seed_image, image_spec("seeds", SHAPE, classes=CLASSES))
    transform = RandomGenerativeSample(generator, 1.0, class_map="identity")
    torch.manual_seed(7)
    options: dict[str, Any] = {"num_workers": workers, "multiprocessing_context": "fork" if workers else None}
    if collate:
        options["collate_fn"] = lambda batch: transform(*default_collate(batch))
    loader = DataLoader(Images((lambda *item: item) if collate else transform), 4, **options)
    return [torch.cat([images for images, _ in loader]) for _ in range(epochs)]


@pytest.mark.parametrize("collate", [False, True])
@pytest.mark.parametrize("workers", [0, 2])
def test_loaders_make_each_sample_once_and_again_for_the_same_seed(workers: int, collate: bool) -> None:
    epochs = loaded(workers, collate)
    seeds = [tuple(image.flatten().tolist()) for epoch in epochs for image in epoch]
    assert len(set(seeds)) == len(seeds) == 24
    assert all(torch.equal(one, other) for one, other in zip(epochs, loaded(workers, collate), strict=True))


def _epoch_as_rank(rank: int, folder: Path) -> None:
    torch.save(loaded(0, False, epochs=1)[0], folder / f"{rank}.pt")


def test_ranks_with_equal_seeds_make_different_samples(tmp_path: Path) -> None:
    run_ranks(_epoch_as_rank, tmp_path)
    images = torch.cat([torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)])
    assert len({tuple(image.flatten().tolist()) for image in images}) == 24
