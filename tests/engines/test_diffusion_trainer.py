# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ignite.engine import Engine, Events
from monai.data import DataLoader, Dataset
from monai.inferers import DiffusionInferer
from monai.networks.nets import AutoencoderKL
from monai.networks.schedulers import DDPMScheduler
from torch import Tensor, nn

from monai_genaug.engines import DiffusionTrainer, NonFiniteLossError
from monai_genaug.generators import derive_seed
from monai_genaug.networks import DiffusionDecoder, DiffusionProcess, UNetDiffusion
from tests.engines.toy_diffusion_run import adam, build, toy_network
from tests.engines.toy_gan_run import SHAPE, pictures
from tests.ranks import run_ranks


def trainer_of(
    network: DiffusionDecoder, data: list[dict[str, Any]], batch_size: int = 4, epochs: int = 1, **changes: Any
) -> DiffusionTrainer:
    arguments = {"class_key": "label" if network.n_classes else None, **changes}
    optimizer = arguments.pop("optimizer", None) or torch.optim.Adam(network.unet.parameters(), 2e-3)
    return DiffusionTrainer(
        "cpu", epochs, DataLoader(Dataset(data), batch_size=batch_size), network, optimizer, **arguments
    )


def state_of(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def test_both_classes_are_learned() -> None:
    network = toy_network(channels=(16,), guidance=1.5)
    data = [{"image": torch.full((1, *SHAPE), 0.2 + 0.6 * (i % 2)), "label": i % 2} for i in range(64)]
    trainer = trainer_of(network, data, 16, 25, optimizer=adam(network, 1e-2), ema_decay=0.9)
    trainer.run()
    averaged = trainer.averaged
    assert not averaged.training
    z = averaged.draw_latent(range(20))
    with torch.no_grad():
        means = [averaged(averaged.with_class(z, torch.full((20,), label))).mean().item() for label in range(2)]
    assert means == pytest.approx([0.2, 0.8], abs=0.1)


def test_one_iteration_is_the_step_of_monais_inferer() -> None:
    """The data, timesteps and noise of an iteration, MONAI's forward pass, a plain gradient step."""
    network = toy_network(0, patch_size=1, scheduler="ddpm", num_train_timesteps=50)
    unet, scheduler = copy.deepcopy(network.unet), DDPMScheduler(50)
    images = torch.stack([item["image"] for item in pictures(4)])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed("diffusion", 7, 1, 0))
        timesteps = torch.randint(0, 50, (4,))
        noise = torch.randn(4, 1, *SHAPE)
    predicted = DiffusionInferer(scheduler)(2 * images - 1, unet, noise, timesteps)
    loss = (predicted - noise).square().mean()
    gradients = torch.autograd.grad(loss, list(unet.parameters()), allow_unused=True)
    sgd = torch.optim.SGD(network.unet.parameters(), lr=0.5)
    trainer = trainer_of(network, pictures(4), seed=7, optimizer=sgd, max_grad_norm=None)
    trainer.run()
    assert trainer.state.output["loss"] == pytest.approx(loss.item(), rel=1e-5)
    for trained, before, gradient in zip(network.unet.parameters(), unet.parameters(), gradients, strict=True):
        torch.testing.assert_close(trained, before if gradient is None else before - 0.5 * gradient)


def classes_seen(network: DiffusionDecoder, data: list[dict[str, Any]], **changes: Any) -> Tensor:
    seen: list[Tensor] = []

    def note(module: nn.Module, arguments: Any, keywords: dict[str, Tensor]) -> None:
        seen.append(keywords["class_labels"].clone())

    network.unet.register_forward_pre_hook(note, with_kwargs=True)
    trainer_of(network, data, 50, **changes).run()
    return torch.cat(seen)


def test_classes_are_hidden_at_times() -> None:
    data, labels = pictures(400), torch.arange(400) % 2
    seen = classes_seen(toy_network(), data, class_dropout=0.25)
    hidden = seen == 2
    assert hidden.float().mean() == pytest.approx(0.25, abs=0.08)
    assert torch.equal(seen[~hidden], labels[~hidden])
    assert torch.equal(classes_seen(toy_network(), data[:50], class_dropout=0.0), labels[:50])


def test_a_shorter_last_batch_counts() -> None:
    trainer = trainer_of(toy_network(), pictures(5))
    sizes: list[int] = []
    trainer.network.unet.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    trainer.run()
    assert sizes == [4, 1]


def test_global_random_state_is_untouched() -> None:
    trainer = trainer_of(toy_network(), pictures(8))
    torch.manual_seed(0)
    np.random.seed(0)
    list(trainer.data_loader)  # draws by itself: the loader's base seed
    after_loader = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]
    torch.manual_seed(0)
    trainer.run()
    assert torch.equal(torch.get_rng_state(), after_loader[0])
    assert (np.random.get_state()[1] == after_loader[1]).all()  # type: ignore[index]


def test_seeds_change_the_training() -> None:
    losses = []
    for seed in (0, 0, 1):
        trainer = trainer_of(toy_network(), pictures(8), seed=seed)
        trainer.run()
        losses.append(trainer.state.output["loss"])
    assert losses[0] == losses[1] != losses[2]


def test_images_and_masks_are_learned_together() -> None:
    network = toy_network(0, mask_classes=2)
    items = [{**item, "mask": (torch.rand(1, *SHAPE) > 0.5).float()} for item in pictures(4)]
    trainer = trainer_of(network, items, mask_key="mask")
    before = state_of(network)
    trainer.run()
    assert any(not torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    with torch.no_grad():
        assert trainer.averaged(trainer.averaged.draw_latent([1])).shape == (1, 3, *SHAPE)


def test_a_first_stage_is_left_as_it_is() -> None:
    stages: dict[str, Any] = {"channels": (4, 8), "num_res_blocks": 1, "attention_levels": (False, False)}
    autoencoder = AutoencoderKL(2, latent_channels=3, norm_num_groups=4, **stages)
    unet = UNetDiffusion(2, (4, 4), 3, channels=(8,), norm_num_groups=4, num_head_channels=8).unet
    process = DiffusionProcess(DDPMScheduler(10))
    network = DiffusionDecoder(unet, process, SHAPE, first_stage=autoencoder, noise_shape=(3, 4, 4), scale_factor=2.0)
    before = state_of(network)
    trainer_of(network, pictures(8)).run()
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed
    assert all(name.startswith("unet.") for name in changed)
    assert all(parameter.grad is None for parameter in autoencoder.parameters())


def test_the_averages_are_used() -> None:
    network = toy_network()
    trainer = trainer_of(network, pictures(8), ema_decay=None)
    assert trainer.averaged is network
    assert trainer.parts == {}
    averaging = trainer_of(network, pictures(16), 4, 3, ema_decay=0.9)
    averaging.run()
    assert isinstance(averaging.averaged, UNetDiffusion)
    assert not any(parameter.requires_grad for parameter in averaging.averaged.parameters())
    pairs = zip(averaging.averaged.unet.parameters(), network.unet.parameters(), strict=True)
    assert any(not torch.equal(one, other) for one, other in pairs)


def test_bfloat16_trains_and_is_not_float32() -> None:
    outputs = []
    for amp, expected in (("bfloat16", torch.bfloat16), (None, torch.float32)):
        network, dtypes = toy_network(), []
        network.unet.out[2].register_forward_hook(lambda _, inputs, out, found=dtypes: found.append(out.dtype))
        trainer = trainer_of(network, pictures(4), amp=amp)
        trainer.run()
        assert dtypes == [expected]
        assert all(parameter.dtype == torch.float32 for parameter in network.parameters())
        outputs.append(trainer.state.output["loss"])
    assert outputs[0] == pytest.approx(outputs[1], rel=0.05)


def test_bad_images_stop_before_the_weights_change() -> None:
    network = toy_network()
    trainer = trainer_of(network, pictures(16), 4, 2)
    kept: dict[str, Tensor] = {}

    @trainer.on(Events.ITERATION_STARTED(once=6))
    def poison(engine: Engine) -> None:
        kept.update(state_of(network))
        engine.state.batch["image"][1, 0, 3, 3] = float("nan")

    with pytest.raises(NonFiniteLossError, match="epoch 2, iteration 6: the network's loss is nan"):
        trainer.run()
    assert all(torch.equal(tensor, kept[name]) for name, tensor in network.state_dict().items())


def average_as_rank(rank: int, folder: Path) -> None:
    trainer = build(folder / str(rank), 1)
    trainer.run()
    torch.save(trainer.network.state_dict(), folder / f"{rank}.pt")


def test_ranks_have_the_same_weights(tmp_path: Path) -> None:
    run_ranks(average_as_rank, tmp_path)
    one, other = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epochs": 0}, "max_epochs is 0"),
        ({"max_grad_norm": 0.0}, "max_grad_norm is 0.0"),
        ({"class_dropout": 1.0}, "class_dropout is 1.0, allowed: from 0 to below 1"),
        ({"class_key": None}, "class_key is None, but the network has n_classes=2"),
        ({"mask_key": "mask"}, "mask_key is 'mask', but the network has mask_classes=0"),
        ({"amp": "float16"}, "amp is 'float16'"),
        ({"ema_decay": 1.0}, "ema_decay is 1.0"),
        ({"optimizer": torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.1)}, "not those of DiffusionModelUNet"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        trainer_of(toy_network(), pictures(4), **changes)
