# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Features of any network."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from monai_genaug.metrics.features.base import FeatureExtractor

__all__ = ["ModuleFeatures"]


class ModuleFeatures(FeatureExtractor):
    """What a layer of a network says about an image, averaged over its pixels.

    For backbones of torchvision and MONAI, or a classifier of one's own: the best choice where there is one that was
    trained on the same kind of images, and not on the generator's samples.

    An output ``(n, d)`` is taken as it is; of ``(n, tokens, d)``, as transformers give it, the mean over the tokens is
    taken, of ``(n, d, *spatial)`` that over the pixels.

    Args:
        module: the network; copied, so that it may be trained on.
        layer: name of the module inside it, as in ``module.named_modules()``, whose output is taken; None for the
            network's own output.
        size: what images are resized to; its length tells 2D from 3D.
        in_channels: channels that the network reads.
        mean, std: of the values that the network was trained on, one number or one per channel:
            ``(0.485, 0.456, 0.406)`` and ``(0.229, 0.224, 0.225)`` for most networks of torchvision. It is given
            (image - mean) / std, images in [0, 1].
        batch_size: images per chunk.
        name: what reports call it; None for the class of the network.

    Raises:
        ValueError: a layer that does not exist or gives no such output, or mean and std of another length.

    Example:
        >>> network = torchvision.models.resnet18(weights=None)  # in its place: a trained one
        >>> extract = ModuleFeatures(network, "avgpool", (64, 64))
        >>> extract(torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 512])
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        module: nn.Module,
        layer: str | None = None,
        size: Sequence[int] = (224, 224),
        in_channels: int = 3,
        mean: float | Sequence[float] = 0.0,
        std: float | Sequence[float] = 1.0,
        batch_size: int = 32,
        name: str | None = None,
    ) -> None:
        layers = dict(module.named_modules())
        if layer is not None and layer not in layers:
            raise ValueError(f"layer {layer!r} is not in {type(module).__name__}, allowed: {sorted(layers)[1:]}.")
        super().__init__(name or type(module).__name__, len(size), in_channels, size, 0, batch_size)
        with torch.no_grad():  # a copy of a ScriptModule would have a gradient otherwise
            self.module, self.layer = copy.deepcopy(module), layer
        self.register_buffer("mean", self._per_channel("mean", mean))
        self.register_buffer("std", self._per_channel("std", std))
        self._frozen()
        with torch.no_grad():
            probe = torch.full((1, in_channels, *self.size), 0.5, device=self._device())
            self.mean, self.std = self.mean.to(probe), self.std.to(probe)
            self.n_features = self.features(probe).shape[1]

    def features(self, x: Tensor) -> Tensor:
        """The layer's output, averaged."""
        x = (x - self.mean) / self.std
        if self.layer is None:
            return self._pooled(self.module(x))
        caught: list[Tensor] = []
        layer = self.module.get_submodule(self.layer)
        hook = layer.register_forward_hook(lambda _module, _inputs, output: caught.append(output))
        try:
            self.module(x)
        finally:
            hook.remove()
        if not caught:
            raise ValueError(f"layer {self.layer!r} of {self.name!r} takes no part in its forward pass.")
        return self._pooled(caught[-1])

    def _pooled(self, output: object) -> Tensor:
        if not isinstance(output, Tensor) or output.ndim < 2:
            what = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise ValueError(f"layer {self.layer!r} of {self.name!r} gives {what}, needed: one tensor (n, d, ...).")
        if output.ndim == 3:
            return output.mean(dim=1)
        return output if output.ndim == 2 else output.flatten(2).mean(dim=2)

    def _per_channel(self, name: str, values: float | Sequence[float]) -> Tensor:
        numbers = torch.as_tensor(values, dtype=torch.float32).flatten()
        if len(numbers) not in (1, self.in_channels):
            raise ValueError(f"{name} has {len(numbers)} values, needed: 1 or {self.in_channels}, one per channel.")
        return numbers.view(1, -1, *[1] * self.spatial_dims)
