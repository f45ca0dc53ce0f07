# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Samples are those of MONAI's own loops, in pixels and in an autoencoder's codes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.inferers import DiffusionInferer, LatentDiffusionInferer
from monai.networks.nets import AutoencoderKL, DiffusionModelUNet
from monai.networks.schedulers import DDIMScheduler, DDPMScheduler, RFlowScheduler
from torch import Tensor, nn

from monai_genaug.latent.draws import standard_normal
from monai_genaug.networks import DiffusionDecoder, DiffusionProcess

SHAPE = (8, 8)


def filled(module: nn.Module, seed: int = 0) -> Any:
    """With weights, where MONAI begins with zeros."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for parameter in module.parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, 0.0, 0.1)
    return module.eval()


def unet_of(channels: int = 1, **changes: Any) -> DiffusionModelUNet:
    arguments = {"channels": (8,), "num_res_blocks": 1, "attention_levels": (False,), "norm_num_groups": 4}
    return filled(DiffusionModelUNet(2, channels, channels, **{**arguments, **changes}))


def code_of(count: int, size: int = 64) -> Tensor:
    return standard_normal(range(count), size).float()


SCHEDULERS = {
    "ddim": DDIMScheduler(100, "scaled_linear_beta"),
    "ddim of velocities": DDIMScheduler(100, prediction_type="v_prediction"),
    "rflow": RFlowScheduler(100),
}


@pytest.mark.parametrize("kind", SCHEDULERS)
def test_samples_are_those_of_monais_inferer(kind: str) -> None:
    unet, scheduler, code = unet_of(), SCHEDULERS[kind], code_of(3)
    network = DiffusionDecoder(unet, DiffusionProcess(scheduler, 6), SHAPE).eval()
    scheduler.set_timesteps(6)
    expected = DiffusionInferer(scheduler).sample(code.view(3, 1, *SHAPE), unet, scheduler, verbose=False)
    with torch.no_grad():
        torch.testing.assert_close(network(code), ((expected + 1) / 2).clamp(0, 1), rtol=0, atol=1e-5)
    assert expected.std() > 0.1


def test_guidance_is_that_of_monais_inferer() -> None:
    unet = unet_of(with_conditioning=True, cross_attention_dim=3, attention_levels=(True,))
    scheduler, code = SCHEDULERS["rflow"], code_of(2)
    context = torch.tensor([[[0.5, 1.0, -1.0]], [[2.0, 0.0, 1.0]], [[-1.0, -1.0, -1.0]]])  # two classes, "no class"
    network = DiffusionDecoder(
        unet, DiffusionProcess(scheduler, 4), SHAPE, n_classes=2, guidance=3.0, class_context=context
    ).eval()
    scheduler.set_timesteps(4)
    expected = DiffusionInferer(scheduler).sample(
        code.view(2, 1, *SHAPE), unet, scheduler, conditioning=context[[1, 0]], cfg=3.0, verbose=False
    )
    with torch.no_grad():
        made = network(network.with_class(code, torch.tensor([1, 0])))
        torch.testing.assert_close(made, ((expected + 1) / 2).clamp(0, 1), rtol=0, atol=1e-5)
        assert (made - network(network.with_class(code, torch.tensor([0, 1])))).abs().max() > 1e-3


def test_latent_samples_are_those_of_monais_inferer() -> None:
    stages = {"channels": (4, 8), "num_res_blocks": 1, "attention_levels": (False, False), "norm_num_groups": 4}
    autoencoder = filled(AutoencoderKL(2, latent_channels=3, **stages))
    unet, scheduler, code = unet_of(3), DDIMScheduler(100, clip_sample=False), code_of(3, 3 * 16)
    network = DiffusionDecoder(
        unet,
        DiffusionProcess(scheduler, 5),
        SHAPE,
        image_range=(0.0, 1.0),
        first_stage=autoencoder,
        noise_shape=(3, 4, 4),
        scale_factor=2.5,
    ).eval()
    scheduler.set_timesteps(5)
    inferer = LatentDiffusionInferer(scheduler, scale_factor=2.5)
    expected = inferer.sample(code.view(3, 3, 4, 4), autoencoder, unet, scheduler, verbose=False)
    with torch.no_grad():
        torch.testing.assert_close(network(code), expected.clamp(0, 1), rtol=0, atol=1e-5)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        codes = network.model_space(torch.full((2, 1, 8, 8), 0.25))
        torch.manual_seed(0)
        theirs = autoencoder.encode_stage_2_inputs(torch.full((2, 1, 8, 8), 0.25)) * 2.5
    torch.testing.assert_close(codes, theirs)


def test_the_noise_of_ddpm_is_that_of_the_sample_alone() -> None:
    network = DiffusionDecoder(unet_of(), DiffusionProcess(DDPMScheduler(20, beta_end=0.3)), SHAPE).eval()
    code = code_of(3)
    state = torch.get_rng_state()
    with torch.no_grad():
        whole = network(code)
        torch.testing.assert_close(torch.cat([network(row[None]) for row in code]), whole, rtol=0, atol=1e-5)
        torch.testing.assert_close(network(code[[2, 0]]), whole[[2, 0]], rtol=0, atol=1e-5)
        other = code.clone()
        other[0, 5] += 1e-6
        noise = [network._step_noise(part)(4) for part in (code, other)]
    assert torch.equal(torch.get_rng_state(), state)
    assert (noise[0][0] - noise[1][0]).abs().max() > 0.5
    assert torch.equal(noise[0][1:], noise[1][1:])
    assert (noise[0][0] - noise[0][1]).abs().max() > 0.5
    assert not torch.equal(network._step_noise(code)(3), noise[0])


class Constant(nn.Module):
    """Predicts data that are given."""

    def __init__(self, data: Tensor) -> None:
        super().__init__()
        self.data = data

    def forward(self, x: Tensor, timesteps: Tensor) -> Tensor:
        return self.data.expand_as(x)


def test_images_and_masks_come_back_from_the_models_space() -> None:
    image, mask = torch.rand(1, 1, *SHAPE), torch.arange(64).view(1, 1, *SHAPE) % 3
    process = DiffusionProcess(DDIMScheduler(10, prediction_type="sample"), 3)
    network = DiffusionDecoder(nn.Identity(), process, SHAPE, mask_classes=3)
    data = network.model_space(image, mask)
    assert data.shape == (1, 4, *SHAPE)
    assert data.min() == -1.0
    network.unet = Constant(data)
    made = network(code_of(2, 4 * 64))
    torch.testing.assert_close(made[:, :1], image.expand(2, -1, -1, -1), rtol=0, atol=1e-5)
    assert torch.equal(made[:, 1:].argmax(dim=1, keepdim=True), mask.expand(2, -1, -1, -1))


def decoder(unet: nn.Module | None = None, **changes: Any) -> DiffusionDecoder:
    return DiffusionDecoder(
        unet or unet_of(), DiffusionProcess(DDIMScheduler(10), 2), **{"spatial_shape": SHAPE, **changes}
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"guidance": 2.0}, "guidance is 2.0, allowed: 1 .the model knows no 'no class'"),
        ({"n_classes": 2}, "n_classes is 2, but the model knows 0 classes; allowed: 2, or 3 with 'no class'"),
        ({"image_range": (1.0, 0.0)}, "image_range is .1.0, 0.0., allowed"),
        ({"first_stage": nn.Identity()}, "noise_shape is missing"),
        ({"noise_shape": (1, 8)}, r"noise_shape is \(1, 8\), needed: channels and 2 sizes"),
        ({"scale_factor": 0.0}, "scale_factor is 0.0, allowed"),
        ({"spatial_shape": (8,)}, "spatial_shape"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        decoder(**changes)


def test_a_conditional_model_needs_its_classes() -> None:
    with pytest.raises(ValueError, match="n_classes is 0, but the model knows 3 classes; allowed: 0"):
        decoder(unet_of(num_class_embeds=3))
    assert decoder(unet_of(num_class_embeds=3), n_classes=3).null_class is None
    assert decoder(unet_of(num_class_embeds=3), n_classes=2, guidance=2.0).null_class == 2
    with pytest.raises(ValueError, match=r"guidance is 2\.0, allowed: 1"):
        decoder(unet_of(num_class_embeds=3), n_classes=3, guidance=2.0)


def test_a_model_of_another_size_is_named() -> None:
    class Doubled(nn.Module):
        def decode_stage_2_outputs(self, codes: Tensor) -> Tensor:
            return codes.repeat(1, 1, 2, 2)

    network = decoder(first_stage=Doubled(), noise_shape=(1, 8, 8))
    with pytest.raises(ValueError, match=r"the model makes \(1, 1, 16, 16\), needed: \('n', 1, 8, 8\)"):
        network(code_of(1))


@pytest.mark.parametrize(
    ("image", "mask", "words"),
    [
        ((2, 1, 8, 9), None, r"image is \(2, 1, 8, 9\), needed"),
        ((2, 1, 8, 8), None, "mask_classes is 2, the mask is missing"),
        ((2, 1, 8, 8), torch.zeros(1, 1, 8, 8), r"mask is \(1, 1, 8, 8\), needed: \(2, 1, 8, 8\)"),
        ((1, 1, 8, 8), torch.full((1, 1, 8, 8), 2), "labels from 2 to 2, allowed: 0 to 1"),
    ],
)
def test_images_and_masks_that_do_not_fit(image: tuple[int, ...], mask: Tensor | None, words: str) -> None:
    network = decoder(unet_of(3), mask_classes=2)
    with pytest.raises(ValueError, match=words):
        network.model_space(torch.zeros(image), mask)
