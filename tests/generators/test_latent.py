# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import multiprocessing
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from monai_genaug.generators import GeneratorSpec, OutputSpec, VAEGenerator
from monai_genaug.generators.base import POSTERIOR_STREAM
from monai_genaug.latent import TruncatedNormalLatent
from monai_genaug.latent.draws import standard_normal
from monai_genaug.networks import VAE
from tests.toy import LABELS, LATENT_DIM, toy_generator, toy_network, toy_spec
from tests.toy_families import family_generator, pictures

SHAPE = (8, 8, 8)
SEEDS = list(range(9))


@pytest.fixture(scope="module")
def generator() -> VAEGenerator:
    made = toy_generator(SHAPE)
    assert isinstance(made, VAEGenerator)
    return made


@pytest.fixture(scope="module")
def batch(generator: VAEGenerator) -> dict[str, Tensor]:
    return generator.sample(SEEDS)


def assert_close(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    torch.testing.assert_close(one["image"], other["image"], rtol=0, atol=1e-4)
    assert (one["mask"] != other["mask"]).float().mean() < 1e-3


def test_sample_decodes_its_codes(generator: VAEGenerator, batch: dict[str, Tensor]) -> None:
    z = generator.sample_latent(SEEDS)
    assert z.shape == (9, LATENT_DIM)
    assert z.dtype == torch.float32
    assert_close(generator.decode(z), batch)


def test_samples_fill_the_value_range_of_the_spec() -> None:
    network = toy_network(SHAPE, mask=False)
    outputs = {"image": OutputSpec("image", 1, (-1000.0, 500.0), "float32")}
    spec = toy_spec(SHAPE, mask=False, outputs=outputs, encodes=("image",))
    wide, unit = VAEGenerator(network, spec), VAEGenerator(network, toy_spec(SHAPE, mask=False))
    image = wide.sample(SEEDS)["image"]
    torch.testing.assert_close((image + 1000) / 1500, unit.sample(SEEDS)["image"], rtol=0, atol=1e-5)
    torch.testing.assert_close(wide.encode({"image": image}), unit.encode(unit.sample(SEEDS)), rtol=0, atol=1e-3)


def test_order_of_outputs_does_not_matter(generator: VAEGenerator, batch: dict[str, Tensor]) -> None:
    spec = toy_spec(SHAPE)
    swapped = VAEGenerator(
        toy_network(SHAPE), spec.replace(outputs=dict(reversed(spec.outputs.items())), encodes=("mask", "image"))
    )
    samples = swapped.sample(SEEDS)
    assert list(samples) == ["mask", "image"]
    assert_close(samples, batch)
    assert torch.equal(swapped.encode(samples), generator.encode(samples))


def test_mask_is_the_likeliest_label(generator: VAEGenerator, batch: dict[str, Tensor]) -> None:
    with torch.no_grad():
        logits = generator.network(generator.sample_latent(SEEDS))[:, 1:]
    assert torch.equal(logits.argmax(dim=1, keepdim=True).to(torch.uint8), batch["mask"])
    assert len(batch["mask"].unique()) == len(LABELS)


def test_encode_is_the_posterior_mean_or_a_draw_of_it(generator: VAEGenerator, batch: dict[str, Tensor]) -> None:
    mean = generator.encode(batch)
    assert torch.equal(mean, generator.encode(batch))
    draws = torch.stack([generator.encode(batch, seeds=range(1000 * k, 1000 * k + 9)) for k in range(400)])
    x = torch.cat([batch["image"], torch.nn.functional.one_hot(batch["mask"][:, 0].long(), 3).movedim(-1, 1)], dim=1)
    with torch.no_grad():
        expected, log_variance = generator.network.posterior(x.float())
    torch.testing.assert_close(mean, expected)
    sd = torch.exp(0.5 * log_variance)
    assert ((draws.mean(dim=0) - mean).abs() < 5 * sd / 20).all()
    torch.testing.assert_close(draws.std(dim=0), sd, rtol=0.2, atol=0)


def test_encoding_does_not_depend_on_the_batch(generator: VAEGenerator, batch: dict[str, Tensor]) -> None:
    alone = [generator.encode({k: v[i : i + 1] for k, v in batch.items()}, seeds=[i]) for i in SEEDS]
    torch.testing.assert_close(torch.cat(alone), generator.encode(batch, seeds=SEEDS), rtol=0, atol=1e-5)


def test_encode_takes_meta_tensors_arrays_and_a_small_overshoot(
    generator: VAEGenerator, batch: dict[str, Tensor]
) -> None:
    expected = generator.encode(batch)
    meta: dict[str, Any] = {name: MetaTensor(values) for name, values in batch.items()}
    arrays: dict[str, Any] = {name: np.asarray(values) for name, values in batch.items()}
    assert type(generator.encode(meta)) is Tensor
    assert torch.equal(generator.encode(meta), expected)
    assert torch.equal(generator.encode(arrays), expected)
    overshoot = torch.where(batch["image"] == batch["image"].max(), 1.04, batch["image"])
    clipped = torch.where(batch["image"] == batch["image"].max(), 1.0, batch["image"])
    assert torch.equal(generator.encode({**batch, "image": overshoot}), generator.encode({**batch, "image": clipped}))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"image": torch.full((9, 1, *SHAPE), 1.1)}, r"'image' spans \[1.1, 1.1\].*range is \[0.0, 1.0\]"),
        ({"image": torch.full((9, 1, *SHAPE), float("nan"))}, "'image' holds NaN"),
        ({"image": torch.zeros(9, 1, 8, 8, 9)}, r"'image' has shape \(9, 1, 8, 8, 9\).*\(n, 1, 8, 8, 8\)"),
        ({"image": torch.zeros(9, 2, *SHAPE)}, "'image' has shape"),
        ({"image": torch.zeros(SHAPE)}, "'image' has shape"),
        ({"image": torch.tensor(0.0)}, "'image' has shape"),
        ({"image": torch.zeros(4, 1, *SHAPE)}, "'mask' has shape"),
        ({"mask": torch.full((9, 1, *SHAPE), 3)}, "'mask' holds values in .* allowed labels: .*2: 'tail'"),
        ({"mask": torch.full((9, 1, *SHAPE), -1)}, "'mask' holds values"),
        ({"mask": torch.full((9, 1, *SHAPE), 0.5)}, "'mask' holds values"),
    ],
)
def test_batches_outside_the_generator_s_space_are_refused(
    generator: VAEGenerator, batch: dict[str, Tensor], change: dict[str, Tensor], text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        generator.encode({**batch, **change})


def test_encode_names_missing_outputs_and_wrong_seeds(generator: VAEGenerator, batch: dict[str, Tensor]) -> None:
    with pytest.raises(ValueError, match=r"also needs \['mask'\]"):
        generator.encode({"image": batch["image"]})
    with pytest.raises(ValueError, match="2 seeds for 9 items"):
        generator.encode(batch, seeds=[1, 2])
    with pytest.raises(ValueError, match="has no classes"):
        generator.encode(batch, class_label=1)
    with pytest.raises(ValueError, match="has no encoder"):
        VAEGenerator(toy_network(SHAPE), toy_spec(SHAPE, encodes=())).encode(batch)


@pytest.mark.parametrize("z", [torch.zeros(3), torch.zeros(3, 5), torch.zeros(0, 4), torch.full((1, 4), torch.inf)])
def test_bad_codes_are_refused(generator: VAEGenerator, z: Tensor) -> None:
    with pytest.raises(ValueError, match=r"^z "):
        generator.decode(z)


def test_reconstruct_is_decode_of_encode(generator: VAEGenerator, batch: dict[str, Tensor]) -> None:
    assert_close(generator.reconstruct(batch), generator.decode(generator.encode(batch)))


def test_strength_of_perturb_edit_and_interpolate(generator: VAEGenerator, batch: dict[str, Tensor]) -> None:
    reconstruction = generator.reconstruct(batch)
    assert_close(generator.perturb(batch, SEEDS, 0.0), reconstruction)
    assert_close(generator.interpolate(batch, SEEDS, 0.0), reconstruction)
    edited = generator.edit(batch, SEEDS, 0.0)
    assert all(torch.equal(edited[name], batch[name]) for name in batch)
    for mode in (generator.perturb, generator.edit, generator.interpolate):
        start = mode(batch, SEEDS, 0.0)["image"]
        moved = [(mode(batch, SEEDS, strength)["image"] - start).abs().mean() for strength in (0.3, 1.0)]
        assert 0 < moved[0] < moved[1]
        assert mode(batch, SEEDS)["image"].amax() <= 1.0
        assert not torch.equal(mode(batch, SEEDS)["image"], mode(batch, [s + 100 for s in SEEDS])["image"])


def test_edit_keeps_the_mask_where_the_decoded_masks_agree(generator: VAEGenerator, batch: dict[str, Tensor]) -> None:
    other = {**batch, "mask": (batch["mask"] + 1) % 3}
    z = generator.encode(other)
    before, after = generator.decode(z)["mask"], generator.perturb(other, SEEDS, 1.0)["mask"]
    edited = generator.edit(other, SEEDS, 1.0)["mask"]
    assert (before != after).any()
    assert torch.equal(edited[before == after], other["mask"][before == after])
    assert torch.equal(edited[before != after], after[before != after])


def test_training_the_network_further_changes_no_sample() -> None:
    network = toy_network(SHAPE).train()
    generator = VAEGenerator(network, toy_spec(SHAPE))
    before = generator.sample([1])
    with torch.no_grad():
        network.from_code[0].weight.mul_(2.0)
    assert torch.equal(generator.sample([1])["image"], before["image"])
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert not generator.network.training
    assert not any(parameter.requires_grad for parameter in generator.network.parameters())


def test_weights_in_memory_are_part_of_the_spec() -> None:
    hashes = [VAEGenerator(toy_network(SHAPE, seed=seed), toy_spec(SHAPE)).spec.sha256 for seed in (0, 0, 1)]
    assert hashes[0] == hashes[1] != hashes[2]
    assert len(hashes[0]) == 64


def test_latent_of_the_network_decides_truncation() -> None:
    network = VAE(3, SHAPE, 1, 3, LATENT_DIM, (4, 8), latent=TruncatedNormalLatent(LATENT_DIM, bound=0.5))
    z = VAEGenerator(network, toy_spec(SHAPE)).sample_latent(range(100))
    assert 0.4 < z.abs().max() <= 0.5


_IMAGE = {"image": OutputSpec("image", 1, (0.0, 1.0), "float32")}


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (toy_spec((8, 8, 16)), "spatial_shape"),
        (toy_spec(SHAPE, outputs=_IMAGE, encodes=("image",)), "mask classes: spec 0, network 3"),
        (toy_spec(SHAPE, truncation=False), "truncation"),
        (toy_spec(SHAPE, classes={0: "a"}), "classes"),
        (toy_spec(SHAPE, encodes=("image",)), "encodes"),
        (
            toy_spec(SHAPE, outputs={**toy_spec(SHAPE).outputs, "second": _IMAGE["image"]}, encodes=()),
            "one image, at most one mask",
        ),
    ],
)
def test_spec_that_does_not_fit_the_network_is_refused(spec: GeneratorSpec, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        VAEGenerator(toy_network(SHAPE), spec)


class _OneSample(Dataset[Tensor]):
    def __init__(self, generator: VAEGenerator) -> None:
        self.generator = generator

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Tensor:
        return self.generator.sample([index])["image"]


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
def test_gpu_in_a_forked_worker_names_the_ways_out(generator: VAEGenerator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator, "_device", torch.device("cuda"))
    loader = DataLoader(_OneSample(generator), num_workers=1, multiprocessing_context="fork")
    with pytest.raises(RuntimeError, match=r"(?s)build_pool.*GenerativePrepareBatch.*ThreadDataLoader.*spawn"):
        next(iter(loader))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_gpu_agrees_with_itself_for_any_batch(generator: VAEGenerator) -> None:
    on_gpu = VAEGenerator(toy_network(SHAPE), toy_spec(SHAPE), device="cuda")
    samples = on_gpu.sample(SEEDS)
    assert samples["image"].is_cuda
    assert torch.equal(on_gpu.sample_latent(SEEDS).cpu(), generator.sample_latent(SEEDS))
    alone = torch.cat([on_gpu.sample([seed])["image"] for seed in SEEDS])
    torch.testing.assert_close(alone, samples["image"], rtol=0, atol=1e-4)


@pytest.fixture(scope="module", params=["conditional_vae", "per_class_vae"])
def conditional(request: pytest.FixtureRequest) -> VAEGenerator:
    made = family_generator(request.param)
    assert isinstance(made, VAEGenerator)
    return made


def test_the_class_reaches_encoder_and_decoder(conditional: VAEGenerator) -> None:
    batch = {"image": pictures(4)}
    codes = [conditional.encode(batch, label) for label in ("a", 1)]
    assert (codes[0] - codes[1]).abs().amax(dim=1).min() > 1e-3
    mixed = conditional.encode(batch, ["a", "b", 1, 0])
    assert torch.allclose(mixed, torch.stack([codes[0][0], codes[1][1], codes[1][2], codes[0][3]]), atol=1e-5)
    images = [conditional.decode(codes[0], label)["image"] for label in (0, "b")]
    assert (images[0] - images[1]).abs().flatten(1).amax(dim=1).min() > 1e-2
    assert torch.equal(conditional.reconstruct(batch, "a")["image"], images[0])
    network = conditional.network
    with torch.no_grad():
        expected = network(network.code_of(network.join(batch["image"], None, torch.zeros(4).long())))
    torch.testing.assert_close(images[0], expected, rtol=0, atol=1e-5)


def test_draws_of_the_posterior_are_those_of_the_network(conditional: VAEGenerator) -> None:
    x = conditional.network.join(pictures(3), None, torch.tensor([0, 1, 1]))
    noise = standard_normal([5, 6, 7], conditional.network.noise_dim, stream=POSTERIOR_STREAM).float()
    found = conditional.encode({"image": pictures(3)}, [0, 1, 1], seeds=[5, 6, 7])
    with torch.no_grad():
        torch.testing.assert_close(found, conditional.network.encode(x, noise), rtol=0, atol=1e-5)


def test_modes_keep_the_class(conditional: VAEGenerator) -> None:
    batch, labels = {"image": pictures(4)}, ["a", "b", "b", "a"]
    for mode in (conditional.perturb, conditional.edit, conditional.interpolate):
        whole = mode(batch, [1, 2, 3, 4], 0.5, labels)["image"]
        alone = [mode({"image": pictures(4)[i : i + 1]}, [i + 1], 0.5, labels[i])["image"] for i in range(4)]
        torch.testing.assert_close(torch.cat(alone), whole, rtol=0, atol=1e-4)
        assert (whole - mode(batch, [1, 2, 3, 4], 0.5, "a")["image"]).abs()[1:3].max() > 1e-3
    z = conditional.sample_latent([1, 2], "b", 0.5)
    assert torch.equal(z, conditional.network.draw_latent([1, 2], [1, 1], 0.5))
    assert torch.equal(conditional.decode(z, "b")["image"], conditional.sample([1, 2], "b", 0.5)["image"])


def test_classes_that_do_not_fit_are_named(conditional: VAEGenerator) -> None:
    z, batch = conditional.sample_latent([1, 2], 0), {"image": pictures(2)}
    for call in (conditional.decode, conditional.encode, conditional.reconstruct):
        argument: Any = z if call == conditional.decode else batch
        for label, words in ((None, "needs class_label"), ("c", "'c' is unknown"), ([0], "1 class labels for 2")):
            with pytest.raises(ValueError, match=words):
                call(argument, label)
