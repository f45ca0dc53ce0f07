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
from torch import Tensor

from monai_genaug.data.batch_keys import BatchKeys
from monai_genaug.generators import current_rank
from monai_genaug.generators.winning_labels import winning_labels
from monai_genaug.latent.draws import standard_normal
from monai_genaug.networks import LatentAutoencoder, LatentDecoder
from monai_genaug.plotting import sample_grid

__all__ = ["SampleGridHandler", "decoded_parts", "draw_pairs"]


class SampleGridHandler:
    """Writes ``epoch_0010.png`` with samples and ``epoch_0010_reconstructed.png`` every few epochs and at the end.

    The seeds are always the same, so that the pictures of different epochs show the same samples getting better. As
    long as the network's latent distribution isn't fitted, codes are drawn from the prior. A conditional network's
    samples go through its classes in turn. Of a GAN the averaged generator is shown.

    Args:
        network: any :class:`~monai_genaug.networks.LatentDecoder`.
        folder: where the pictures go.
        items: data set of preprocessed items to reconstruct, for example the validation set; None for none, and for a
            network without encoder.
        interval: epochs between pictures.
        count: samples per picture.
        image_key, mask_key, class_key: keys of the items; None for a network without masks, without classes.

    Raises:
        ValueError: an interval or count below 1, or items for a network without encoder.
    """

    def __init__(
        self,
        network: LatentDecoder,
        folder: str | os.PathLike[str],
        items: Sequence[Mapping[str, Any]] | None = None,
        interval: int = 10,
        count: int = 8,
        image_key: str = "image",
        mask_key: str | None = "label",
        class_key: str | None = None,
    ) -> None:
        if interval < 1 or count < 1:
            raise ValueError(f"interval={interval}, count={count}: both must be 1 or more.")
        if items is not None and not isinstance(network, LatentAutoencoder):
            raise ValueError(f"{type(network).__name__} has no encoder, so that it cannot reconstruct items.")
        self.network, self.folder, self.items = network, Path(folder), items
        self.interval, self.count = interval, count
        self.keys = BatchKeys(image_key, mask_key, None, class_key)

    def attach(self, engine: Engine) -> None:
        """Attaches to a trainer."""
        engine.add_event_handler(Events.EPOCH_COMPLETED(every=self.interval), self)
        engine.add_event_handler(Events.COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Writes the pictures of this epoch (rank 0 alone)."""
        if current_rank() != 0:
            return
        network: LatentDecoder = getattr(engine, "averaged", self.network)
        with eval_mode(network):
            name = f"epoch_{engine.state.epoch:04d}"
            sample_grid(self._decode(network, self._codes(network)), self.folder / f"{name}.png")
            if self.items is not None and len(self.items) > 0:
                self._reconstructions(self.folder / f"{name}_reconstructed.png")

    def _codes(self, network: LatentDecoder) -> Tensor:
        seeds = range(self.count)
        classes = [seed % network.n_classes for seed in seeds] if network.n_classes else None
        if network.latent.is_fitted:
            z = network.draw_latent(seeds, classes)
        else:
            z = standard_normal(seeds, network.latent_dim).float()
        return network.with_class(z, None if classes is None else torch.tensor(classes, device=z.device))

    def _decode(self, network: LatentDecoder, codes: Tensor) -> dict[str, Tensor]:
        return decoded_parts(network(codes.to(next(network.parameters()).device)).cpu(), network)

    def _reconstructions(self, path: Path) -> None:
        assert self.items is not None
        assert isinstance(self.network, LatentAutoencoder)
        device = next(self.network.parameters()).device
        chosen = [self.items[i] for i in range(min(self.count // 2 or 1, len(self.items)))]
        x, _ = self.keys.read(list_data_collate(chosen), self.network, device)
        made = self.network.image_channels + self.network.mask_classes  # the rest says the class
        originals = decoded_parts(x[:, :made].cpu(), self.network)
        draw_pairs(originals, self._decode(self.network, self.network.code_of(x)), path)


def decoded_parts(decoded: Tensor, network: LatentDecoder) -> dict[str, Tensor]:
    """``image`` and, if the network makes one, ``mask`` of what a call of it returned."""
    channels = network.image_channels
    samples = {"image": decoded[:, :channels]}
    if network.mask_classes:
        samples["mask"] = winning_labels(decoded[:, channels:], torch.int64)
    return samples


def draw_pairs(originals: Mapping[str, Tensor], decoded: Mapping[str, Tensor], path: Path) -> None:
    """A picture of items beside what became of them."""
    pairs = {name: torch.stack([real, decoded[name]], dim=1).flatten(0, 1) for name, real in originals.items()}
    sample_grid(pairs, path, titles=["original", "decoded"] * len(originals["image"]))
