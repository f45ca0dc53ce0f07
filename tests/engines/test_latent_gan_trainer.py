# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from ignite.engine import Engine, Events
from monai.data import DataLoader, Dataset
from torch import Tensor, nn

from monai_genaug.engines import NonFiniteLossError
from monai_genaug.engines.latent_gan_trainer import LatentGANTrainer
from monai_genaug.generators import derive_seed
from monai_genaug.networks.dcgan_discriminator import DCGANDiscriminator
from monai_genaug.networks.dcgan_generator import DCGANGenerator
from tests.engines.toy_gan_run import N_CLASSES, SHAPE, adam, pictures, toy_networks
from tests.ranks import run_ranks

Networks = tuple[DCGANGenerator, DCGANDiscriminator]


def trainer_of(
    networks: Networks, data: list[dict[str, Any]], batch_size: int = 4, epochs: int = 1, **changes: Any
) -> LatentGANTrainer:
    generator, discriminator = networks
    loader = DataLoader(Dataset(data), batch_size=batch_size)
    arguments = {"class_key": "label" if generator.n_classes else None, **changes}
    optimizers = adam(generator), adam(discriminator)
    return LatentGANTrainer("cpu", epochs, loader, generator, discriminator, *optimizers, **arguments)


def state_of(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def assert_equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


def differ(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return any(not torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_both_classes_are_learned() -> None:
    networks = toy_networks()
    trainer = trainer_of(networks, pictures(64), 16, 60, adversarial="hinge", ema_decay=0.95)
    trainer.run()
    averaged = trainer.averaged
    assert not averaged.training
    z = averaged.draw_latent(range(100))
    means = [averaged(averaged.with_class(z, torch.full((100,), label))).mean().item() for label in range(N_CLASSES)]
    assert means == pytest.approx([0.2, 0.8], abs=0.08)


Loss = Callable[[Tensor, Tensor], Tensor]
CRITICS: dict[str, Loss] = {
    "bce": lambda real, fake: -(real.sigmoid().log().mean() + (1.0 - fake.sigmoid()).log().mean()),
    "hinge": lambda real, fake: (1.0 - real).clamp(min=0.0).mean() + (1.0 + fake).clamp(min=0.0).mean(),
    "wasserstein": lambda real, fake: fake.mean() - real.mean(),
}


def step_by_hand(networks: Networks, kind: str, penalty: float, class_weight: float, rate: float) -> dict[str, float]:
    """One plain gradient step of each network on the first four pictures, written out."""
    generator, discriminator = networks
    items = pictures(4)
    real, labels = torch.stack([item["image"] for item in items]), torch.tensor([item["label"] for item in items])
    one_hot = torch.eye(N_CLASSES)[labels] if generator.n_classes else None
    torch.manual_seed(derive_seed("gan", 7, 1, 0))
    z = torch.randn(4, generator.latent_dim)
    fake = generator(z if one_hot is None else torch.cat([z, one_hot], dim=1))

    def descend(network: nn.Module, loss: Tensor) -> None:
        gradients = torch.autograd.grad(loss, list(network.parameters()), allow_unused=True)
        with torch.no_grad():
            for parameter, gradient in zip(network.parameters(), gradients, strict=True):
                if gradient is not None:
                    parameter -= rate * gradient

    def entropy(logits: Tensor) -> Tensor:
        return -(logits - logits.exp().sum(dim=1, keepdim=True).log())[range(4), labels].mean()

    (real_scores, real_logits), (fake_scores, _) = (discriminator(x, one_hot) for x in (real, fake.detach()))
    loss = CRITICS[kind](real_scores, fake_scores)
    found = {"d_loss": loss, "real_score": real_scores.mean(), "fake_score": fake_scores.mean()}
    if real_logits is not None:
        found["d_class"] = entropy(real_logits)
        loss = loss + class_weight * found["d_class"]
    if penalty:
        share = torch.rand(4).view(4, 1, 1, 1)
        x = (share * real + (1.0 - share) * fake.detach()).requires_grad_()
        slope = torch.autograd.grad(discriminator(x, one_hot)[0].sum(), x, create_graph=True)[0]
        found["penalty"] = (((slope**2).sum(dim=(1, 2, 3)).sqrt() - 1.0) ** 2).mean()
        loss = loss + penalty * found["penalty"]
    descend(discriminator, loss)
    scores, logits = discriminator(fake, one_hot)
    found["g_loss"] = loss = -scores.sigmoid().log().mean() if kind == "bce" else -scores.mean()
    if logits is not None:
        found["g_class"] = entropy(logits)
        loss = loss + class_weight * found["g_class"]
    descend(generator, loss)
    return {name: value.item() for name, value in found.items()}


@pytest.mark.parametrize(
    ("kind", "penalty", "n_classes", "heads"),
    [
        ("bce", 0.0, 0, ()),
        ("bce", 0.0, 2, ("auxiliary",)),
        ("hinge", 0.0, 2, ("projection",)),
        ("wasserstein", 10.0, 2, ("projection", "auxiliary")),
    ],
)
def test_one_iteration_is_the_step_of_the_paper(
    kind: str, penalty: float, n_classes: int, heads: tuple[str, ...]
) -> None:
    networks = toy_networks(n_classes, heads)
    by_hand = copy.deepcopy(networks)
    with torch.random.fork_rng(devices=[]):
        expected = step_by_hand(by_hand, kind, penalty, class_weight=0.7, rate=0.5)
    g_optimizer, d_optimizer = (torch.optim.SGD(network.parameters(), lr=0.5) for network in networks)
    trainer = LatentGANTrainer(
        "cpu",
        1,
        DataLoader(Dataset(pictures(4)), batch_size=4),
        *networks,
        g_optimizer,
        d_optimizer,
        seed=7,
        class_key="label" if n_classes else None,
        adversarial=kind,
        gradient_penalty=penalty,
        class_weight=0.7,
    )
    start = [state_of(network) for network in networks]
    trainer.run()
    assert trainer.state.output == pytest.approx(expected, rel=1e-4, abs=1e-6)
    for network, reference, before in zip(networks, by_hand, start, strict=True):
        torch.testing.assert_close(state_of(network), state_of(reference))
        assert differ(state_of(network), before)


def test_the_generator_steps_in_every_nth_iteration() -> None:
    networks = toy_networks(norm="instance")
    # five iterations per epoch: the turns go on counting in the second one
    trainer = trainer_of(networks, pictures(10), 2, 2, n_critic=3, ema_decay=None)
    before = [state_of(network) for network in networks]
    steps: list[list[bool]] = [[], []]
    outputs: list[set[str]] = []

    @trainer.on(Events.ITERATION_COMPLETED)
    def compare(engine: Engine) -> None:
        for found, network, last in zip(steps, networks, before, strict=True):
            weights = dict(network.named_parameters())
            found.append(any(not torch.equal(weights[name], last[name]) for name in weights))
            last.update(state_of(network))
        outputs.append(set(engine.state.output))

    trainer.run()
    turns = [number % 3 == 0 for number in range(1, 11)]
    assert steps == [turns, [True] * 10]
    assert [("g_loss" in names) for names in outputs] == turns


def seen_by(discriminator: nn.Module) -> list[tuple[Tensor, Tensor]]:
    seen: list[tuple[Tensor, Tensor]] = []
    discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(x.detach() for x in inputs)))
    return seen


def test_a_shorter_last_batch_meets_as_many_fakes_of_its_own_classes() -> None:
    networks = toy_networks()
    seen = seen_by(networks[1])
    items = [
        {"image": item["image"], "label": torch.tensor([label])}
        for item, label in zip(pictures(6), [0, 0, 0, 1, 1, 0], strict=True)
    ]
    trainer_of(networks, items).run()
    assert [len(images) for images, _ in seen] == [4] * 3 + [2] * 3  # real, fake, fake again for the generator
    for images, one_hot in seen[:3]:
        assert images.shape == (4, 1, *SHAPE)
        assert one_hot.tolist() == [[1, 0], [1, 0], [1, 0], [0, 1]]
    assert all(one_hot.tolist() == [[0, 1], [1, 0]] for _, one_hot in seen[3:])
    assert torch.equal(seen[0][0], torch.stack([item["image"] for item in items[:4]]))


def test_the_discriminator_sees_nothing_that_was_not_augmented() -> None:
    class Halved(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return 0.5 * images

    images = []
    for augment in (Halved(), None):
        networks = toy_networks()
        seen = seen_by(networks[1])
        trainer_of(networks, pictures(4), adversarial="wasserstein", gradient_penalty=1.0, augment=augment).run()
        images.append([x for x, _ in seen])
    halved, plain = images
    assert len(halved) == 4  # real, fake, between them, fake again
    for one, other in zip(halved, plain, strict=True):
        torch.testing.assert_close(one, 0.5 * other)


def test_random_numbers_are_those_of_seed_and_iteration() -> None:
    def codes(seed: int, global_seed: int) -> list[Tensor]:
        networks, found = toy_networks(dropout=0.5), []
        networks[0].register_forward_pre_hook(lambda _, inputs: found.append(inputs[0].clone()))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(global_seed)
            trainer_of(networks, pictures(8), seed=seed).run()
        return [*found, *networks[1].state_dict().values()]

    first = codes(0, 1)
    assert all(torch.equal(one, other) for one, other in zip(first, codes(0, 2), strict=True))
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], codes(1, 1)[0])


def test_global_random_state_is_untouched() -> None:
    trainer = trainer_of(toy_networks(dropout=0.5), pictures(8))
    torch.manual_seed(0)
    np.random.seed(0)
    list(trainer.data_loader)  # draws by itself: the loader's base seed
    after_loader = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]
    torch.manual_seed(0)
    trainer.run()
    assert torch.equal(torch.get_rng_state(), after_loader[0])
    assert (np.random.get_state()[1] == after_loader[1]).all()  # type: ignore[index]


def test_the_average_is_that_of_its_formula() -> None:
    networks = toy_networks()
    trainer = trainer_of(networks, pictures(24), 4, 10, ema_decay=0.8)
    history: list[dict[str, Tensor]] = []
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: history.append(state_of(networks[0])))
    trainer.run()
    average = {name: tensor.double() for name, tensor in history[0].items()}
    for t, weights in enumerate(history[1:], start=1):
        decay = min(0.8, (1 + t) / (10 + t))
        for name, tensor in weights.items():
            average[name] = decay * average[name] + (1.0 - decay) * tensor.double()
    assert decay == 0.8  # the warm-up was over
    for name, tensor in trainer.averaged.state_dict().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor.double(), average[name], rtol=1e-4, atol=1e-6)
        else:
            assert torch.equal(tensor, history[-1][name])
    assert isinstance(trainer.averaged, DCGANGenerator)
    assert not any(parameter.requires_grad for parameter in trainer.averaged.parameters())
    assert differ(state_of(trainer.averaged), history[-1])


def test_without_an_average_the_generator_itself_is_used() -> None:
    networks = toy_networks()
    trainer = trainer_of(networks, pictures(4), ema_decay=None)
    assert trainer.averaged is networks[0]
    assert set(trainer.parts) == {"discriminator", "d_optimizer"}


def test_the_generator_s_step_leaves_no_trace_in_the_discriminator() -> None:
    networks = toy_networks()
    frozen = networks[1].blocks[0]
    frozen.requires_grad_(False)
    learning = [name for name, parameter in networks[1].named_parameters() if parameter.requires_grad]
    gradients: list[dict[str, Tensor]] = []
    for n_critic in (2, 1):  # the first iteration without and with a generator step
        pair = copy.deepcopy(networks)
        trainer_of(pair, pictures(4), n_critic=n_critic).run()
        assert [name for name, parameter in pair[1].named_parameters() if parameter.requires_grad] == learning
        assert pair[1].training
        gradients.append({name: p.grad for name, p in pair[1].named_parameters() if p.grad is not None})
    assert set(gradients[0]) == set(learning)
    assert_equal(*gradients)


def test_bfloat16_trains_and_is_not_float32() -> None:
    outputs = []
    for amp, low in (("bfloat16", torch.bfloat16), (None, torch.float32)):
        networks = toy_networks()
        dtypes: list[torch.dtype] = []
        for layer in (networks[0].to_image, networks[1].to_score):
            layer.register_forward_hook(lambda _, inputs, out, found=dtypes: found.append(out.dtype))
        trainer = trainer_of(networks, pictures(8), amp=amp, adversarial="wasserstein", gradient_penalty=10.0)
        trainer.run()
        assert all(np.isfinite(value) for value in trainer.state.output.values())
        assert dtypes[:5] == [low, low, low, torch.float32, low]  # fake, real, fake, penalty, fake for the generator
        assert all(parameter.dtype == torch.float32 for parameter in networks[0].parameters())
        outputs.append(trainer.state.output)
    assert outputs[0] == pytest.approx(outputs[1], rel=0.1, abs=0.02)


def test_bad_images_stop_before_the_discriminator_changes() -> None:
    networks = toy_networks()
    trainer = trainer_of(networks, pictures(16), 4, 2)
    kept: list[dict[str, Tensor]] = []

    @trainer.on(Events.ITERATION_STARTED(once=6))
    def poison(engine: Engine) -> None:
        kept.extend(state_of(network) for network in networks)
        engine.state.batch["image"][1, 0, 3, 3] = float("nan")

    with pytest.raises(NonFiniteLossError, match="epoch 2, iteration 6: the discriminator's loss is nan"):
        trainer.run()
    for network, before in zip(networks, kept, strict=True):
        weights = dict(network.named_parameters())
        assert_equal({name: weights[name] for name in weights}, before)


def test_bad_gradients_stop_before_the_generator_changes() -> None:
    networks = toy_networks()

    class Overflow(nn.Module):
        """A gradient that no float holds, although the images are fine."""

        def forward(self, images: Tensor) -> Tensor:
            if images.requires_grad:
                images.register_hook(lambda gradient: gradient * float("inf"))
            return images

    trainer = trainer_of(networks, pictures(4), augment=Overflow())
    before = {name: p.detach().clone() for name, p in networks[0].named_parameters()}
    with pytest.raises(NonFiniteLossError, match="iteration 1: the generator's loss is 0"):
        trainer.run()
    assert_equal(before, dict(networks[0].named_parameters()))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epochs": 0}, "max_epochs is 0, allowed: 1"),
        ({"n_critic": 0}, "n_critic is 0, allowed: 1"),
        ({"adversarial": "lsgan"}, "'lsgan', allowed"),
        ({"gradient_penalty": -1.0}, "gradient_penalty is -1.0"),
        ({"class_weight": float("nan")}, "class_weight is nan"),
        ({"ema_decay": 1.0}, "ema_decay is 1.0"),
        ({"amp": "float16"}, "'float16'"),
        ({"class_key": None}, "class_key is None, but the generator has n_classes=2"),
    ],
)
def test_bad_arguments(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        trainer_of(toy_networks(), pictures(4), **changes)


def test_networks_that_do_not_fit() -> None:
    conditional, plain = toy_networks(), toy_networks(0, ())
    with pytest.raises(ValueError, match="class_key is 'label', but the generator has n_classes=0"):
        trainer_of(plain, pictures(4), class_key="label")
    with pytest.raises(ValueError, match="discriminator has n_classes=0, needed: the generator's 2"):
        trainer_of((conditional[0], plain[1]), pictures(4))
    with pytest.raises(ValueError, match=r"gradient_penalty is 10\.0 and the discriminator has batch norm"):
        trainer_of(toy_networks(norm="batch"), pictures(4), gradient_penalty=10.0)
    loader = DataLoader(Dataset(pictures(4)), batch_size=4)
    with pytest.raises(ValueError, match="parameters of g_optimizer are not those of DCGANGenerator"):
        LatentGANTrainer("cpu", 1, loader, *plain, adam(plain[1]), adam(plain[0]))
    plain[0].mask_classes = 2
    with pytest.raises(ValueError, match="mask_classes=2, allowed: 0"):
        trainer_of(plain, pictures(4))


@pytest.mark.parametrize(
    ("item", "error", "words"),
    [
        ({"label": 0}, KeyError, "no 'image'; its keys are \\['label'\\]"),
        ({"image": torch.rand(1, *SHAPE)}, KeyError, "no 'label'"),
        ({"image": torch.rand(1, 4, 4), "label": 0}, ValueError, r"image is \(2, 1, 4, 4\), needed: \('n', 1, 8, 8\)"),
        ({"image": 255 * torch.ones(1, *SHAPE), "label": 0}, ValueError, "values from 255 to 255, allowed: 0 to 1"),
        ({"image": torch.rand(1, *SHAPE), "label": 2}, ValueError, "from 2 to 2, allowed: 0 to 1"),
        ({"image": torch.rand(1, *SHAPE), "label": 0.5}, ValueError, "one integer class id per image"),
        ({"image": torch.rand(1, *SHAPE), "label": torch.zeros(3)}, ValueError, "one integer class id per image"),
    ],
)
def test_bad_batches_are_named(item: dict[str, Any], error: type[Exception], words: str) -> None:
    networks = toy_networks()
    before = state_of(networks[0])
    with pytest.raises(error, match=words):
        trainer_of(networks, [item] * 2).run()
    assert_equal(before, state_of(networks[0]))


def test_one_image_alone_is_refused_where_there_is_batch_norm() -> None:
    with pytest.raises(ValueError, match="batch of 1 has no statistics for batch norm: set drop_last"):
        trainer_of(toy_networks(), pictures(5)).run()


def train_as_rank(rank: int, poisoned: bool) -> None:
    networks = toy_networks(norm="batch", dropout=0.3)
    for network in networks:
        with torch.no_grad():
            for parameter in network.parameters():
                parameter += rank  # rank 0's weights are the ones that count
    trainer = trainer_of(networks, pictures(8, seed=rank), epochs=2)
    if poisoned and rank == 1:
        trainer.data_loader.dataset.data[5]["image"][:] = float("nan")
    if poisoned:
        with pytest.raises(NonFiniteLossError, match="iteration 2"):
            trainer.run()
    else:
        trainer.run()
    for module in (*networks, trainer.averaged):
        for name, tensor in module.named_parameters() if poisoned else module.state_dict().items():
            of_first = tensor.detach().clone()
            torch.distributed.broadcast(of_first, 0)
            assert torch.equal(tensor, of_first), name
    assert max(parameter.abs().max() for parameter in networks[0].parameters()) < 1.5


@pytest.mark.parametrize("poisoned", [False, True])
def test_two_ranks_agree(poisoned: bool) -> None:
    run_ranks(train_as_rank, poisoned)


def average_as_rank(rank: int) -> None:
    networks = toy_networks(norm="instance")
    trainer = trainer_of(networks, pictures(4, seed=rank))
    start = {name: p.detach().clone() for name, p in networks[1].named_parameters()}
    trainer.d_optimizer = torch.optim.SGD(networks[1].parameters(), lr=1.0)
    alone = copy.deepcopy(networks)
    trainer.run()
    torch.manual_seed(derive_seed("gan", 0, 1, rank))
    labels = torch.tensor([0, 1, 0, 1])
    fake = alone[0](alone[0].with_class(torch.randn(4, 4), labels)).detach()
    real = torch.stack([item["image"] for item in pictures(4, seed=rank)])
    scores = [alone[1](x, torch.eye(2)[labels])[0] for x in (real, fake)]
    CRITICS["bce"](*scores).backward()
    for name, parameter in alone[1].named_parameters():
        torch.distributed.all_reduce(parameter.grad)
        torch.testing.assert_close(dict(networks[1].named_parameters())[name], start[name] - parameter.grad / 2)


def test_gradients_are_averaged_over_the_ranks() -> None:
    run_ranks(average_as_rank)
