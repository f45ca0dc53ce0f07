# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset
from torch import Tensor, nn

from monai_genaug.generators import ModuleGenerator, build_pool, image_spec, load_generator
from monai_genaug.latent import GaussianMixtureLatent, NormalLatent, RiemannianLatent, TruncatedNormalLatent
from monai_genaug.latent.draws import standard_normal
from monai_genaug.transforms import RandGenerativeSampled
from tests.toy_decoders import LATENT_DIM, ToyDecoder, exported_generator, module_generator

SHAPE = (8, 8)
SPEC = image_spec("toy", SHAPE)
LABELS = ("background", "head", "tail")


class Codes(nn.Module):
    """Gives back its arguments as an image, in its own way."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, *inputs: Tensor) -> Any:
        return self.answer(*inputs)


def generator_of(answer: Any, latent: Any = 64, spec: Any = SPEC, **options: Any) -> ModuleGenerator:
    return ModuleGenerator(Codes(answer), latent, spec, **options)


def test_images_are_the_decoder_s_mapped_from_its_range() -> None:
    decoder = ToyDecoder(SHAPE)
    spec = image_spec("ct", SHAPE, value_range=(-1000.0, 1000.0))
    made = ModuleGenerator(decoder, LATENT_DIM, spec, decoder_range=(-1, 1)).sample([3, 9])["image"]
    with torch.no_grad():
        decoded = decoder(standard_normal([3, 9], LATENT_DIM).float())
    assert torch.allclose(made, 1000.0 * decoded, atol=1e-3)
    same = ModuleGenerator(decoder, LATENT_DIM, image_spec("tanh", SHAPE, value_range=(-1, 1))).sample([3, 9])["image"]
    assert torch.allclose(same, decoded, atol=1e-6)


def test_few_values_outside_the_range_are_clamped() -> None:
    made = generator_of(lambda z: (0.5 + 0.2 * z).view(-1, 1, 8, 8)).sample(range(50))["image"]
    assert made.min() == 0
    assert made.max() == 1


def test_values_mostly_outside_the_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"values from -\S+ to \S+, \d+% of them outside decoder_range=\(0.0, 1.0\)"):
        ModuleGenerator(ToyDecoder(SHAPE), LATENT_DIM, SPEC)


@pytest.mark.parametrize("shape", [(64,), (64, 1, 1), (1, 8, 8)])
def test_noise_of_a_shape_is_the_standard_normal_of_that_many_numbers(shape: tuple[int, ...]) -> None:
    seen: list[Tensor] = []

    def answer(z: Tensor) -> Tensor:
        seen.append(z)
        return z.sigmoid().reshape(-1, 1, 8, 8)

    made = generator_of(answer, shape).sample([1, 2**40])["image"]
    assert seen[-1].shape == (2, *shape)
    assert torch.equal(made, standard_normal([1, 2**40], 64).float().sigmoid().view(-1, 1, 8, 8))


def test_latent_distributions_are_used_and_copied() -> None:
    latent = TruncatedNormalLatent(64, bound=0.5)
    generator = generator_of(lambda z: (z + 0.5).view(-1, 1, 8, 8), latent)
    before = generator.sample([1])["image"]
    latent.bound.fill_(0.1)
    assert torch.equal(generator.sample([1])["image"], before)
    assert 0 < before.min() < before.max() < 1


@pytest.mark.parametrize(("latent", "channels"), [(4, (4 + 2,)), ((3, 8, 8), (3 + 2, 8, 8))])
def test_one_hot_classes_join_the_code_along_its_first_axis(latent: Any, channels: tuple[int, ...]) -> None:
    seen: list[Tensor] = []

    def answer(code: Tensor) -> Tensor:
        seen.append(code)
        return torch.full((len(code), 1, 8, 8), 0.5)

    spec = image_spec("toy", SHAPE, classes=("a", "b"))
    generator_of(answer, latent, spec, condition="one_hot").sample([1, 2, 3], ["b", "a", "b"])
    assert seen[-1].shape[1:] == channels
    planes = seen[-1][:, -2:].flatten(2) if seen[-1].ndim > 2 else seen[-1][:, -2:, None]
    expected = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    assert torch.equal(planes, expected[:, :, None].expand_as(planes))


def test_class_numbers_are_those_of_the_spec() -> None:
    spec = image_spec("toy", SHAPE).replace(classes={3: "a", 7: "b"})
    generator = generator_of(lambda z, k: (k / 10).view(-1, 1, 1, 1).expand(-1, 1, 8, 8), 4, spec, condition="index")
    made = generator.sample([1, 2], ["b", 3])["image"]
    assert made[0].unique().tolist() == pytest.approx([0.7])
    assert made[1].unique().tolist() == pytest.approx([0.3])


def test_masks_from_logits_after_the_image_or_by_name_or_as_labels() -> None:
    spec = image_spec("pair", SHAPE, mask_classes=LABELS)

    def logits(z: Tensor) -> Tensor:
        return z.view(-1, 3, 8, 8)

    def image(z: Tensor) -> Tensor:
        return logits(z)[:, :1].sigmoid()

    answers = (
        lambda z: torch.cat([image(z), logits(z)], dim=1),
        lambda z: {"mask": logits(z), "image": image(z)},
        lambda z: {"mask": logits(z).argmax(dim=1, keepdim=True), "image": image(z)},
    )
    made = [generator_of(answer, 192, spec).sample([1, 2]) for answer in answers]
    assert made[0]["mask"].dtype == torch.uint8
    assert made[0]["mask"].unique().tolist() == [0, 1, 2]
    for other in made[1:]:
        assert all(torch.equal(other[name], made[0][name]) for name in ("image", "mask"))


def test_batch_norm_of_a_module_is_in_evaluation_mode_and_the_module_is_a_copy() -> None:
    decoder = nn.Sequential(nn.Unflatten(1, (1, 8, 8)), nn.BatchNorm2d(1), nn.Dropout(0.5), nn.Sigmoid()).train()
    generator = ModuleGenerator(decoder, 64, SPEC)
    before = generator.sample([1, 2])["image"]
    decoder(torch.randn(8, 64))  # moves the statistics of the original
    assert decoder.training
    assert torch.equal(generator.sample([1, 2])["image"], before)
    assert not generator.decoder.training
    assert not any(parameter.requires_grad for parameter in generator.decoder.parameters())


def normalised(z: Tensor) -> Tensor:
    z = z.view(-1, 1, 8, 8)
    return ((z - z.mean()) / z.std()).sigmoid()


def test_decoders_that_couple_a_batch_are_refused_or_get_one_code_per_call() -> None:
    with pytest.raises(ValueError, match=r"another \['image'\] of a code that shares its batch .*batches=False"):
        generator_of(normalised)
    generator = generator_of(normalised, spec=SPEC.replace(reproducible_batches=False))
    together, alone = generator.sample([1, 2])["image"], generator.sample([2])["image"]
    assert torch.equal(together[1:], alone)


@pytest.mark.parametrize("draw", [torch.rand_like, lambda z: torch.from_numpy(np.random.rand(*z.shape))])
def test_decoders_that_draw_noise_are_refused(draw: Any) -> None:
    before = torch.get_rng_state()
    with pytest.raises(ValueError, match="second call: it draws random numbers"):
        generator_of(lambda z: draw(z).float().view(-1, 1, 8, 8))
    assert torch.equal(torch.get_rng_state(), before)


def test_construction_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    module_generator(SHAPE)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda z: z.view(-1, 1, 4, 16).sigmoid(), r"a tensor of shape \(1, 1, 4, 16\), its spec needs \(n, 1, 8, 8\)"),
        (lambda z: {"picture": z}, r"returned \['picture'\], \['image'\] are missing"),
        (lambda z: {"image": z}, r"'image' of shape \(1, 64\)"),
        (lambda z: [z], "returned list, allowed: a tensor, or a dictionary"),
        (lambda z: z.view(-1, 5, 5), "failed on a batch of 1: RuntimeError: shape"),
        (lambda z: z.view(1, 1, 8, 8).sigmoid(), r"failed on a batch of 2 \(a spec with reproducible_batches=False"),
        (lambda z: z.view(-1, 1, 8, 8) * float("nan"), "from nan to nan"),
    ],
)
def test_what_a_decoder_does_wrong_is_named(answer: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        generator_of(answer)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"latent": 0}, "latent is 0, allowed"),
        ({"latent": ()}, r"latent is \(\), allowed"),
        ({"latent": (3, 2.5)}, r"latent is \(3, 2.5\), allowed"),
        ({"condition": "plane"}, "condition is 'plane', allowed: None, 'one_hot', 'index'"),
        ({"condition": "one_hot"}, "condition is 'one_hot' and the classes of spec 'toy' are None"),
        ({"spec": image_spec("toy", SHAPE, classes=("a", "b"))}, "condition is None and the classes"),
        ({"spec": SPEC.replace(classes={1: "a", 2: "b"}), "condition": "one_hot"}, r"numbered \[1, 2\], 'one_hot'"),
        ({"spec": SPEC.replace(encodes=("image",))}, "has no encoder"),
        ({"spec": SPEC.replace(truncation=True), "latent": RiemannianLatent(2)}, "RiemannianLatent has none"),
        ({"decoder_range": (1, -1)}, r"decoder_range is \(1, -1\)"),
        ({"latent": GaussianMixtureLatent(64)}, "has not been fitted"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, Any], words: str) -> None:
    given = {"decoder": Codes(lambda z: z.sigmoid().view(-1, 1, 8, 8)), "latent": 64, "spec": SPEC, **arguments}
    with pytest.raises(ValueError, match=words):
        ModuleGenerator(**given)


def test_the_hash_knows_weights_latent_and_range() -> None:
    def digest(seed: int = 0, latent: Any = LATENT_DIM, decoder_range: Any = (-1.0, 1.0)) -> str:
        return ModuleGenerator(ToyDecoder(SHAPE, seed=seed), latent, SPEC, None, decoder_range).spec.sha256

    digests = [
        digest(),
        digest(seed=1),
        digest(latent=TruncatedNormalLatent(LATENT_DIM)),
        digest(decoder_range=(-2.0, 2.0)),
    ]
    assert digest() == digests[0]
    assert digest(latent=NormalLatent(LATENT_DIM)) == digests[0]
    assert len(set(digests)) == 4
    given = ModuleGenerator(ToyDecoder(SHAPE), LATENT_DIM, SPEC.replace(sha256="1" * 64), None, (-1, 1))
    assert given.spec.sha256 == "1" * 64


@pytest.fixture
def scripted() -> torch.jit.ScriptModule:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module: torch.jit.ScriptModule = torch.jit.script(
            nn.Sequential(nn.Linear(4, 64), nn.Sigmoid(), nn.Unflatten(1, (1, 8, 8)))
        )
    return module


def test_a_scripted_decoder_makes_samples_but_is_not_pickled(scripted: torch.jit.ScriptModule) -> None:
    generator = ModuleGenerator(scripted, 4, SPEC)
    with torch.no_grad():
        assert torch.equal(generator.sample([1])["image"], scripted(standard_normal([1], 4).float()))
    with pytest.raises(TypeError, match=r"cannot be pickled: write it with export_network"):
        pickle.dumps(generator)


def test_an_exported_decoder_makes_samples() -> None:
    decoder = ToyDecoder(SHAPE)
    batch = torch.export.Dim("n")
    program = torch.export.export(decoder, (torch.randn(2, 4),), dynamic_shapes=({0: batch},))
    made = ModuleGenerator(program, 4, SPEC, decoder_range=(-1, 1)).sample([1, 2, 3])["image"]
    assert torch.allclose(made, ModuleGenerator(decoder, 4, SPEC, None, (-1, 1)).sample([1, 2, 3])["image"], atol=1e-6)
    fixed = torch.export.export(decoder, (torch.randn(1, 4),))
    with pytest.raises(ValueError, match="failed on a batch of 2"):
        ModuleGenerator(fixed, 4, SPEC, decoder_range=(-1, 1))
    one_by_one = ModuleGenerator(fixed, 4, SPEC.replace(reproducible_batches=False), decoder_range=(-1, 1))
    assert torch.allclose(one_by_one.sample([1, 2, 3])["image"], made, atol=1e-6)


def test_pools_and_their_identity(tmp_path: Path) -> None:
    generator = module_generator(SHAPE)
    pool = build_pool(generator, {"a": 3, "b": 2}, tmp_path / "pool", progress=False)
    first = generator.sample([pool.record.item_seed(0)], "a")["image"]
    assert torch.allclose(pool[0]["image"], first[0], atol=1e-4)
    again = load_generator(tmp_path / "pool")
    assert again.spec.classes == generator.spec.classes


@pytest.mark.parametrize("name", ["model.ts", "model.pt2"])
def test_transforms_take_it_also_in_workers_that_monai_seeds(name: str, tmp_path: Path) -> None:
    generator = exported_generator(SHAPE, tmp_path / name)
    transform = RandGenerativeSampled("image", generator, prob=1.0, class_key="class")
    items = [{"image": torch.zeros(1, *SHAPE), "class": label} for label in ("a", "b", "a", "b")]
    batches = list(DataLoader(Dataset(items, transform), batch_size=2, num_workers=2))
    images = torch.cat([batch["image"].as_tensor() for batch in batches])
    assert len({tuple(image.flatten().tolist()) for image in images}) == 4
    for batch in batches:
        seeds = batch["image"].meta["synthetic_seed"].tolist()
        expected = generator.sample(seeds, batch["class"])["image"]
        assert torch.allclose(batch["image"].as_tensor(), expected, atol=1e-4)
