# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine, Events
from monai.data import DataLoader, Dataset
from monai.losses import SSIMLoss
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from monai_genaug.engines import AutoencoderTrainer, DiffusionTrainer, NonFiniteLossError
from monai_genaug.generators import derive_seed
from monai_genaug.networks import DiffusionDecoder, LatentDiffusion, UNetDiffusion
from tests.engines.test_diffusion_trainer import state_of
from tests.engines.toy_autoencoder_run import adam, build, toy_discriminator, toy_network
from tests.engines.toy_gan_run import SHAPE, pictures
from tests.ranks import run_ranks


def trainer_of(
    network: DiffusionDecoder, data: list[dict[str, Any]], batch_size: int = 4, epochs: int = 1, **changes: Any
) -> AutoencoderTrainer:
    optimizer = changes.pop("optimizer", None) or torch.optim.Adam(network.first_stage.parameters(), 2e-3)
    loader = DataLoader(Dataset(data), batch_size=batch_size)
    return AutoencoderTrainer("cpu", epochs, loader, network, optimizer, **changes)


def against(rate: float = 1e-3, **changes: Any) -> dict[str, Any]:
    discriminator = toy_discriminator()
    return {
        "discriminator": discriminator,
        "d_optimizer": torch.optim.SGD(discriminator.parameters(), rate),
        **changes,
    }


def stripes(count: int) -> list[dict[str, Any]]:
    """Half dark, half bright, at another place in each."""
    made = []
    for i in range(count):
        image = torch.full((1, *SHAPE), 0.2)
        image[:, : 1 + i % (SHAPE[0] - 1)] = 0.9
        made.append({"image": image})
    return made


def test_images_are_reconstructed_and_codes_get_deviation_1() -> None:
    network, data = toy_network(), stripes(32)
    images = torch.stack([item["image"] for item in data])
    with torch.no_grad():
        before = (network.reconstruct(images) - images).abs().mean().item()
    trainer = trainer_of(network, data, 8, 60, optimizer=adam(network, 1e-2))
    trainer.run()
    network.eval()
    with torch.no_grad():
        after = (network.reconstruct(images) - images).abs().mean().item()
        codes = network.model_space(images)
    assert after < 0.04 < 0.15 < before
    assert network.scale_factor.item() != 1.0
    assert codes.std().item() == pytest.approx(1.0, rel=0.1)


def test_one_iteration_is_a_gradient_step_of_the_paper_s_loss() -> None:
    network = toy_network(mask_classes=2)
    stage = copy.deepcopy(network.first_stage)
    items = [{**item, "mask": (torch.rand(1, *SHAPE) > 0.5).float()} for item in pictures(4)]
    image, mask = (torch.stack([item[key] for item in items]) for key in ("image", "mask"))
    x = 2.0 * torch.cat([image, 1.0 - mask, mask], dim=1) - 1.0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed("autoencoder", 7, 1, 0))
        noise = torch.randn(4, *network.noise_shape)
    mean, deviation = stage.encode(x)
    made = stage.decode(mean + deviation * noise)
    error = (made - x).abs().mean()
    kl = kl_divergence(Normal(mean, deviation), Normal(0.0, 1.0)).sum() / 4
    ssim = SSIMLoss(2, win_size=5)
    loss = error + 0.01 * kl + 0.3 * ssim(made[:, :1], image.mul(2.0).sub(1.0))
    gradients = torch.autograd.grad(loss, list(stage.parameters()))
    sgd = torch.optim.SGD(network.first_stage.parameters(), lr=0.5)
    settings = {"seed": 7, "mask_key": "mask", "optimizer": sgd, "max_grad_norm": None, "kl_weight": 0.01}
    trainer = trainer_of(network, items, perceptual_loss=ssim, perceptual_weight=0.3, **settings)
    trainer.run()
    output = trainer.state.output
    assert output["reconstruction"] == pytest.approx(error.item(), rel=1e-5)
    assert output["kl"] == pytest.approx(kl.item(), rel=1e-4)
    assert output["loss"] == pytest.approx(loss.item(), rel=1e-4)
    for trained, before, gradient in zip(network.first_stage.parameters(), stage.parameters(), gradients, strict=True):
        torch.testing.assert_close(trained, before - 0.5 * gradient, rtol=1e-4, atol=1e-6)
    assert network.scale_factor.item() == pytest.approx(1.0 / (mean + deviation * noise).std().item(), rel=1e-5)


def test_the_discriminator_takes_part_from_its_start_on() -> None:
    network, part = toy_network(), against(adversarial_start=2)
    discriminator, before = part["discriminator"], state_of(part["discriminator"])
    trainer = trainer_of(network, pictures(12), **part)
    seen: list[tuple[set[str], bool]] = []

    @trainer.on(Events.ITERATION_COMPLETED)
    def note(engine: Engine) -> None:
        is_same = all(torch.equal(tensor, before[name]) for name, tensor in discriminator.state_dict().items())
        seen.append((set(engine.state.output) & {"adversarial", "d_loss"}, is_same))

    trainer.run()
    assert seen == [(set(), True), (set(), True), ({"adversarial", "d_loss"}, False)]
    assert set(trainer.parts) == {"discriminator", "d_optimizer"}


def test_the_verdict_moves_the_autoencoder_alone() -> None:
    """Minus the mean score, the hinge objective's other half, of the reconstruction; its weight counts."""
    weights = []
    for weight in (0.0, 0.5):
        network, part = toy_network(), against(rate=0.0, adversarial_weight=weight)
        trainer = trainer_of(network, pictures(4), **part)
        trainer.run()
        assert all(parameter.requires_grad for parameter in part["discriminator"].parameters())
        output = trainer.state.output
        terms = output["reconstruction"] + 1e-6 * output["kl"] + weight * output["adversarial"]
        assert output["loss"] == pytest.approx(terms, rel=1e-5)
        weights.append(network.first_stage.decoder.blocks[0].conv.weight.detach().clone())
    assert not torch.equal(*weights)


def test_only_the_first_stage_and_its_scale_change() -> None:
    network = toy_network()
    before = state_of(network)
    trainer_of(network, pictures(8)).run()
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert "scale_factor" in changed
    assert any(name.startswith("first_stage.encoder") for name in changed)
    assert all(name.startswith("first_stage.") for name in changed - {"scale_factor"})
    assert all(parameter.grad is None for parameter in network.unet.parameters())


def test_the_diffusion_model_s_average_has_the_trained_first_stage() -> None:
    """Also where both trainers were made before the first one ran."""
    network = toy_network()
    loader = DataLoader(Dataset(pictures(8)), batch_size=4)
    second = DiffusionTrainer("cpu", 1, loader, network, torch.optim.Adam(network.unet.parameters()), ema_decay=0.9)
    trainer_of(network, pictures(8)).run()
    second.run()
    assert isinstance(second.averaged, LatentDiffusion)
    averaged, own = second.averaged.state_dict(), network.state_dict()
    for name in own:
        if not name.startswith("unet."):
            torch.testing.assert_close(averaged[name], own[name])


def test_bfloat16_trains_and_is_not_float32() -> None:
    outputs = []
    for amp, expected in (("bfloat16", torch.bfloat16), (None, torch.float32)):
        network, dtypes = toy_network(), []
        network.first_stage.quant_conv_mu.register_forward_hook(
            lambda _, inputs, out, found=dtypes: found.append(out.dtype)
        )
        trainer = trainer_of(network, pictures(4), amp=amp, **against())
        trainer.run()
        assert dtypes == [expected]
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

    with pytest.raises(NonFiniteLossError, match="epoch 2, iteration 6: the autoencoder's loss is nan"):
        trainer.run()
    assert all(torch.equal(tensor, kept[name]) for name, tensor in network.state_dict().items())


def average_as_rank(rank: int, folder: Path) -> None:
    trainer = build(folder / str(rank), 2)
    trainer.run()
    assert trainer.parts["discriminator"] is not None
    torch.save({**trainer.network.state_dict(), **trainer.parts["discriminator"].state_dict()}, folder / f"{rank}.pt")


def test_ranks_have_the_same_weights(tmp_path: Path) -> None:
    run_ranks(average_as_rank, tmp_path)
    one, other = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epochs": 0}, "max_epochs is 0"),
        ({"max_grad_norm": 0.0}, "max_grad_norm is 0.0"),
        ({"kl_weight": -1.0}, "kl_weight is -1.0, allowed: finite numbers from 0"),
        ({"mask_key": "mask"}, "mask_key is 'mask', but the network has mask_classes=0"),
        ({"amp": "float16"}, "amp is 'float16'"),
        ({"optimizer": torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.1)}, "not those of AutoencoderKL"),
        ({"discriminator": nn.Identity()}, "d_optimizer is missing"),
        ({"d_optimizer": torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.1)}, "discriminator is missing"),
        (against(adversarial="least_squares"), "objective is 'least_squares'"),
        (against(adversarial_weight=-1.0), "adversarial_weight is -1.0"),
        (against(adversarial_start=-1), "adversarial_start is -1"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        trainer_of(toy_network(), pictures(4), **changes)


def test_a_model_of_pixels_is_refused() -> None:
    network = UNetDiffusion(2, SHAPE, channels=(32,))
    optimizer = torch.optim.Adam(network.unet.parameters())
    with pytest.raises(ValueError, match="first stage is NoneType, needed: MONAI's AutoencoderKL"):
        trainer_of(network, pictures(4), optimizer=optimizer)
