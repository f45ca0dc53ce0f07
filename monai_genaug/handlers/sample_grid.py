# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures during training: new samples, and reconstructions beside their originals."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.data import list_data_collate
from monai.networks.utils import eval_mode
from monai.utils import convert_to_tensor
from torch import Tensor

from monai_genaug.generators import current_rank
from monai_genaug.latent.draws import standard_normal
from monai_genaug.networks import VAE
from monai_genaug.plotting import sample_grid

__all__ = ["SampleGridHandler"]


class SampleGridHandler:
    """Writes ``epoch_0010.png`` with samples and ``epoch_0010_reconstructed.png`` every few epochs and at the end.

    The seeds are always the same, so that the pictures of different epochs show the same samples getting better. As
    long as the network's latent distribution isn't fitted, codes are drawn from the prior.

    Args:
        network: the VAE.
        folder: where the pictures go.
        items: data set of preprocessed items to reconstruct, for example the validation set; None for none.
        interval: epochs between pictures.
        count: samples per picture.
        image_key, mask_key: keys of the items; ``mask_key`` is None for a network without masks.

    Raises:
        ValueError: an interval or count below 1.
    """

    def __init__(
        self,
        network: VAE,
        folder: str | os.PathLike[str],
        items: Sequence[Mapping[str, Any]] | None = None,
        interval: int = 10,
        count: int = 8,
        image_key: str = "image",
        mask_key: str | None = "label",
    ) -> None:
        if interval < 1 or count < 1:
            raise ValueError(f"interval={interval}, count={count}: both must be 1 or more.")
        self.network, self.folder, self.items = network, Path(folder), items
        self.interval, self.count = interval, count
        self.image_key, self.mask_key = image_key, mask_key

    def attach(self, engine: Engine) -> None:
        """Attaches to a trainer."""
        engine.add_event_handler(Events.EPOCH_COMPLETED(every=self.interval), self)
        engine.add_event_handler(Events.COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Writes the pictures of this epoch (rank 0 alone)."""
        if current_rank() != 0:
            return
        with eval_mode(self.network):
            name = f"epoch_{engine.state.epoch:04d}"
            sample_grid(self._decode(self._codes()), self.folder / f"{name}.png")
            if self.items is not None and len(self.items) > 0:
                self._reconstructions(self.folder / f"{name}_reconstructed.png")

    def _codes(self) -> Tensor:
        seeds = range(self.count)
        if self.network.latent.is_fitted:
            return self.network.latent.sample(seeds)
        return standard_normal(seeds, self.network.latent_dim).float()

    def _decode(self, z: Tensor) -> dict[str, Tensor]:
        decoded = self.network(z.to(next(self.network.parameters()).device)).cpu()
        channels = self.network.image_channels
        samples = {"image": decoded[:, :channels]}
        if self.network.mask_classes:
            samples["mask"] = decoded[:, channels:].argmax(dim=1, keepdim=True)
        return samples

    def _reconstructions(self, path: Path) -> None:
        assert self.items is not None
        batch = list_data_collate([self.items[i] for i in range(min(self.count // 2 or 1, len(self.items)))])
        originals = {"image": convert_to_tensor(batch[self.image_key], track_meta=False)}
        if self.mask_key is not None:
            originals["mask"] = convert_to_tensor(batch[self.mask_key], track_meta=False).long()
        x = self.network.join(originals["image"], originals.get("mask"))
        mean, _ = self.network.posterior(x.to(next(self.network.parameters()).device))
        decoded = self._decode(mean)
        pairs = {name: torch.stack([originals[name], decoded[name]], dim=1).flatten(0, 1) for name in originals}
        sample_grid(pairs, path, titles=["original", "decoded"] * len(mean))
