# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""MONAI's noise schedulers as functions of given noise, for training and for sampling."""

from __future__ import annotations

import copy
from collections.abc import Callable
from math import sqrt
from typing import Any

import torch
from monai.networks.schedulers import DDIMScheduler, DDPMScheduler, RFlowScheduler
from monai.utils import unsqueeze_right
from torch import Tensor

__all__ = ["PREDICTION_TYPES", "SCHEDULER_NAMES", "DiffusionProcess", "scheduler_by_name"]

_KINDS: dict[str, Callable[..., Any]] = {"ddpm": DDPMScheduler, "ddim": DDIMScheduler, "rflow": RFlowScheduler}
SCHEDULER_NAMES = tuple(_KINDS)
"""What :func:`scheduler_by_name` knows."""
PREDICTION_TYPES = ("epsilon", "sample", "v_prediction")
_VARIANCES = ("fixed_small", "fixed_large")


def scheduler_by_name(
    name: str,
    num_train_timesteps: int = 1000,
    schedule: str = "linear_beta",
    prediction_type: str = "epsilon",
    clip_sample: bool = True,
) -> Any:
    """One of MONAI's schedulers with its default settings.

    Args:
        name: ``"ddpm"`` (Ho et al., arXiv 2006.11239), ``"ddim"`` (Song et al., arXiv 2010.02502, without noise in its
            steps) or ``"rflow"`` (rectified flow, Liu et al., arXiv 2209.03003).
        num_train_timesteps: steps T of the training.
        schedule: how noise grows in them, one of MONAI's ``NoiseSchedules``; means nothing for a rectified flow.
        prediction_type: what the network predicts, one of :data:`PREDICTION_TYPES`; a rectified flow's is the velocity
            from noise to data, whatever is said here.
        clip_sample: whether what is predicted for the data is cut to [-1, 1] in each step, as images allow and codes of
            an autoencoder don't; means nothing for a rectified flow.

    Raises:
        ValueError: an unknown name or prediction.
    """
    if name not in _KINDS:
        raise ValueError(f"scheduler is {name!r}, allowed: {SCHEDULER_NAMES}.")
    if prediction_type not in PREDICTION_TYPES:
        raise ValueError(f"prediction_type is {prediction_type!r}, allowed: {PREDICTION_TYPES}.")
    if name == "rflow":
        return RFlowScheduler(num_train_timesteps)
    return _KINDS[name](num_train_timesteps, schedule, prediction_type=prediction_type, clip_sample=clip_sample)


class DiffusionProcess:
    """From data x_0 to noise x_T and back, with one of MONAI's schedulers.

    MONAI's ``DDPMScheduler.step`` draws one noise for a whole batch, so that a sample would depend on the batch that it
    is in. Here noise is always given. Steps of DDIM and of rectified flows are MONAI's; those of DDPM are equal to
    MONAI's if all T are made, and remain ancestral sampling if fewer are.

    Args:
        scheduler: ``DDPMScheduler`` (fixed variances), ``DDIMScheduler`` or ``RFlowScheduler``; it is copied.
        num_inference_steps: steps from noise to data; None for all T.
        n_pixels: grid points of the data, for a scheduler with ``use_timestep_transform``.

    Attributes:
        timesteps: of the steps, from noise to data.

    Raises:
        ValueError: another scheduler, learned variances, or a number of steps that is not from 1 to T.
    """

    def __init__(self, scheduler: Any, num_inference_steps: int | None = None, n_pixels: int | None = None) -> None:
        if not isinstance(scheduler, (DDPMScheduler, DDIMScheduler, RFlowScheduler)):
            raise ValueError(
                f"scheduler is {type(scheduler).__name__}, allowed: DDPMScheduler, DDIMScheduler, RFlowScheduler."
            )
        if getattr(scheduler, "variance_type", _VARIANCES[0]) not in _VARIANCES:
            raise ValueError(f"variance_type is {str(scheduler.variance_type)!r}, allowed: {_VARIANCES}.")
        total = scheduler.num_train_timesteps
        steps = total if num_inference_steps is None else num_inference_steps
        if not 1 <= steps <= total:
            raise ValueError(f"num_inference_steps is {steps}, allowed: 1 to {total}.")
        self.scheduler = copy.deepcopy(scheduler)
        more = {"input_img_size_numel": n_pixels} if isinstance(scheduler, RFlowScheduler) else {}
        self.scheduler.set_timesteps(steps, **more)
        self.timesteps: list[float] = self.scheduler.timesteps.tolist()

    @property
    def is_stochastic(self) -> bool:
        """Whether steps take new noise."""
        return isinstance(self.scheduler, DDPMScheduler)

    @property
    def is_flow(self) -> bool:
        """Whether it is a rectified flow."""
        return isinstance(self.scheduler, RFlowScheduler)

    def draw_timesteps(self, count: int) -> Tensor:
        """Training timesteps ``(count,)`` on the CPU, out of torch's global random numbers."""
        if self.is_flow:
            drawn: Tensor = self.scheduler.sample_timesteps(torch.empty(count, 1, 1, 1))
            return drawn
        return torch.randint(0, self.scheduler.num_train_timesteps, (count,))

    def noisy(self, data: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """x_t of each item: its ``data`` x_0 and ``noise``, ``(n, ...)``, mixed as its entry of ``timesteps`` says."""
        signal, spread = self._weights(timesteps, data)
        return signal * data + spread * noise  # DDPM, equation 4; rectified flow, equation 1

    def target(self, data: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """What the network should predict from :meth:`noisy` of the same arguments."""
        if self.is_flow:
            return data - noise
        kind = self.scheduler.prediction_type
        if kind == "epsilon":
            return noise
        if kind == "sample":
            return data
        signal, spread = self._weights(timesteps, data)
        return signal * noise - spread * data  # Salimans and Ho, arXiv 2202.00512, section 4

    def step(self, index: int, x: Tensor, predicted: Tensor, noise: Callable[[], Tensor]) -> Tensor:
        """One step towards the data.

        Args:
            index: of the step, from 0 for noise.
            x: where the step begins, ``(n, ...)``.
            predicted: by the network there.
            noise: gives standard normal noise like ``x``; called if the step takes some.
        """
        here = self.timesteps[index]
        after = self.timesteps[index + 1] if index + 1 < len(self.timesteps) else None
        if self.is_stochastic:
            return self._ancestral_step(int(here), None if after is None else int(after), x, predicted, noise)
        if self.is_flow:
            made: Tensor = self.scheduler.step(predicted, here, x, after or 0)[0]
        else:
            made = self.scheduler.step(predicted, int(here), x)[0]
        return made

    def _ancestral_step(
        self, t: int, s: int | None, x: Tensor, predicted: Tensor, noise: Callable[[], Tensor]
    ) -> Tensor:
        """DDPM from timestep t to s < t; with s = t - 1 the step of the paper."""
        products = self.scheduler.alphas_cumprod.double()
        at_t, at_s = float(products[t]), 1.0 if s is None else float(products[s])
        alpha = at_t / at_s
        data = self._predicted_data(x, predicted, at_t)
        # DDPM, equation 7
        mean = sqrt(at_s) * (1 - alpha) / (1 - at_t) * data + sqrt(alpha) * (1 - at_s) / (1 - at_t) * x
        if s is None:
            return mean
        is_small = self.scheduler.variance_type == "fixed_small"
        variance = (1 - alpha) * ((1 - at_s) / (1 - at_t) if is_small else 1.0)  # section 3.2
        return mean + sqrt(variance) * noise()

    def _predicted_data(self, x: Tensor, predicted: Tensor, at_t: float) -> Tensor:
        kind, signal, spread = self.scheduler.prediction_type, sqrt(at_t), sqrt(1 - at_t)
        if kind == "epsilon":
            data = (x - spread * predicted) / signal  # DDPM, equation 15
        else:
            data = predicted if kind == "sample" else signal * x - spread * predicted
        return data.clamp(*self.scheduler.clip_sample_values) if self.scheduler.clip_sample else data

    def _weights(self, timesteps: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Of data and noise in x_t, to multiply ``like`` with."""
        if self.is_flow:
            share = timesteps.to(like) / self.scheduler.num_train_timesteps
            signal, spread = 1.0 - share, share
        else:
            products = self.scheduler.alphas_cumprod[timesteps.cpu()].to(like)
            signal, spread = products.sqrt(), (1.0 - products).sqrt()
        return unsqueeze_right(signal, like.ndim), unsqueeze_right(spread, like.ndim)
