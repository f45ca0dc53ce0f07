# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Steps, noise and targets are those of MONAI's schedulers."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from monai.networks.schedulers import DDIMScheduler, DDPMScheduler, PNDMScheduler, RFlowScheduler
from torch import Tensor

from monai_genaug.networks import DiffusionProcess, scheduler_by_name
from monai_genaug.networks.diffusion_process import PREDICTION_TYPES, SCHEDULER_NAMES

SHAPE = (3, 1, 4, 4)


def numbers(seed: int) -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


def no_noise() -> Tensor:
    raise AssertionError("this step takes no noise")


def predictor(x: Tensor, timestep: float) -> Tensor:
    """In the place of a network."""
    return torch.sin(3.0 * x + timestep / 100.0)


@pytest.mark.parametrize("steps", [1, 7, 20])
@pytest.mark.parametrize("prediction_type", PREDICTION_TYPES)
@pytest.mark.parametrize("clip", [True, False])
def test_ddim_is_monais(steps: int, prediction_type: str, clip: bool) -> None:
    scheduler = DDIMScheduler(100, "scaled_linear_beta", clip_sample=clip, prediction_type=prediction_type)
    process = DiffusionProcess(scheduler, steps)
    scheduler.set_timesteps(steps)
    x = expected = numbers(0)
    for index, t in enumerate(scheduler.timesteps):
        expected, _ = scheduler.step(predictor(expected, float(t)), t, expected)
        x = process.step(index, x, predictor(x, process.timesteps[index]), no_noise)
    assert len(process.timesteps) == steps
    torch.testing.assert_close(x, expected, rtol=0, atol=0)


@pytest.mark.parametrize("is_discrete", [True, False])
@pytest.mark.parametrize("is_transformed", [True, False])
def test_rectified_flow_is_monais(is_discrete: bool, is_transformed: bool) -> None:
    scheduler = RFlowScheduler(
        100, is_discrete, use_timestep_transform=is_transformed, base_img_size_numel=64, spatial_dim=2
    )
    process = DiffusionProcess(scheduler, 8, n_pixels=16)
    scheduler.set_timesteps(8, input_img_size_numel=16)
    following = [*scheduler.timesteps[1:], 0]
    x = expected = numbers(0)
    for index, (t, after) in enumerate(zip(scheduler.timesteps, following, strict=True)):
        expected, _ = scheduler.step(predictor(expected, float(t)), t, expected, after)
        x = process.step(index, x, predictor(x, process.timesteps[index]), no_noise)
    torch.testing.assert_close(x, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("variance_type", ["fixed_small", "fixed_large"])
@pytest.mark.parametrize("prediction_type", PREDICTION_TYPES)
def test_all_steps_of_ddpm_are_monais_with_the_same_noise(variance_type: str, prediction_type: str) -> None:
    # MONAI's last step rounds 1 - alphas_cumprod[0] in float32, which shows if beta_start is small
    betas = {"beta_start": 0.01, "beta_end": 0.2}
    scheduler = DDPMScheduler(30, variance_type=variance_type, prediction_type=prediction_type, **betas)
    process = DiffusionProcess(scheduler)
    scheduler.set_timesteps(30)
    x = expected = numbers(0)
    theirs, ours = (torch.Generator().manual_seed(5) for _ in range(2))
    for index, t in enumerate(scheduler.timesteps):
        expected, _ = scheduler.step(predictor(expected, float(t)), t, expected, generator=theirs)
        x = process.step(index, x, predictor(x, float(t)), lambda: torch.randn(SHAPE, generator=ours))
    torch.testing.assert_close(x, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("steps", [5, 25])
def test_fewer_steps_of_ddpm_keep_the_distribution(steps: int) -> None:
    """Of data that are normal numbers the best prediction of the noise is known; samples must be like the data."""
    spread, draws = 0.5, torch.Generator().manual_seed(0)
    scheduler = DDPMScheduler(1000, "cosine", clip_sample=False, variance_type="fixed_large")
    process = DiffusionProcess(scheduler, steps)
    x = torch.randn(20000, 1, generator=draws)
    for index, t in enumerate(process.timesteps):
        product = float(scheduler.alphas_cumprod[int(t)])
        best = x * (1 - product) ** 0.5 / (product * spread**2 + 1 - product)
        x = process.step(index, x, best, lambda: torch.randn(20000, 1, generator=draws))
    assert float(x.mean()) == pytest.approx(0.0, abs=0.03)
    assert float(x.std()) == pytest.approx(spread, rel=0.35 if steps == 5 else 0.1)


@pytest.mark.parametrize("name", SCHEDULER_NAMES)
@pytest.mark.parametrize("prediction_type", PREDICTION_TYPES)
def test_noisy_data_and_targets_are_monais(name: str, prediction_type: str) -> None:
    scheduler = scheduler_by_name(name, 50, prediction_type=prediction_type)
    process = DiffusionProcess(scheduler, 5)
    data, noise, timesteps = numbers(1), numbers(2), torch.tensor([0, 20, 49])
    expected = scheduler.add_noise(data, noise, timesteps)
    torch.testing.assert_close(process.noisy(data, noise, timesteps), expected)
    if name == "rflow":
        target = data - noise  # as in the example of RFlowScheduler
    elif prediction_type == "v_prediction":
        target = scheduler.get_velocity(data, noise, timesteps)
    else:
        target = noise if prediction_type == "epsilon" else data
    torch.testing.assert_close(process.target(data, noise, timesteps), target)


@pytest.mark.parametrize("name", SCHEDULER_NAMES)
def test_a_perfect_prediction_leads_to_the_data(name: str) -> None:
    process = DiffusionProcess(scheduler_by_name(name, 100, "cosine", "sample"), 10)
    data, x = numbers(1).clamp(-1, 1), numbers(0)
    for index, t in enumerate(process.timesteps):
        share = t / 100
        predicted = (data - x) / share if name == "rflow" else data
        x = process.step(index, x, predicted, lambda: numbers(9))
    torch.testing.assert_close(x, data, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", SCHEDULER_NAMES)
def test_timesteps_are_drawn_from_all(name: str) -> None:
    process = DiffusionProcess(scheduler_by_name(name, 10), 2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        drawn = process.draw_timesteps(400)
    assert set(drawn.tolist()) == set(range(10))


def test_the_scheduler_is_copied() -> None:
    scheduler = DDIMScheduler(100)
    before = copy.deepcopy(scheduler.timesteps)
    process = DiffusionProcess(scheduler, 5)
    assert torch.equal(scheduler.timesteps, before)
    scheduler.set_timesteps(3)
    assert len(process.timesteps) == 5


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: DiffusionProcess(PNDMScheduler(100), 10), "PNDMScheduler, allowed: DDPMScheduler, DDIMScheduler"),
        (lambda: DiffusionProcess(DDPMScheduler(100, variance_type="learned")), "variance_type is 'learned', allowed"),
        (lambda: DiffusionProcess(DDIMScheduler(100), 101), "num_inference_steps is 101, allowed: 1 to 100"),
        (lambda: DiffusionProcess(RFlowScheduler(100), 0), "num_inference_steps is 0, allowed: 1 to 100"),
        (lambda: scheduler_by_name("euler"), "scheduler is 'euler', allowed: .'ddpm', 'ddim', 'rflow'"),
        (lambda: scheduler_by_name("ddim", prediction_type="score"), "prediction_type is 'score', allowed"),
    ],
)
def test_what_is_refused(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
