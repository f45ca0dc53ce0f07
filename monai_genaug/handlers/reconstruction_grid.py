# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures during the training of an autoencoder: items beside what it makes of them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events
from monai.data import list_data_collate
from monai.networks.utils import eval_mode

from monai_genaug.data.batch_keys import batch_tensor
from monai_genaug.generators import current_rank
from monai_genaug.handlers.sample_grid import decoded_parts, draw_pairs
from monai_genaug.networks import DiffusionDecoder

__all__ = ["ReconstructionGridHandler"]


class ReconstructionGridHandler:
    """Writes ``epoch_0010_reconstructed.png`` every few epochs and at the end: what the autoencoder loses.

    A latent diffusion model's samples are never better than its reconstructions. Other networks have
    :class:`SampleGridHandler`.

    Args:
        network: a diffusion model with an autoencoder as first stage.
        folder: where the pictures go.
        items: data set of preprocessed items, for example the validation set; nothing is written if it is empty.
        interval: epochs between pictures.
        count: items per picture.
        image_key, mask_key: keys of the items; None for a model without masks.

    Raises:
        ValueError: an interval or count below 1.
    """

    def __init__(
        self,
        network: DiffusionDecoder,
        folder: str | os.PathLike[str],
        items: Sequence[Mapping[str, Any]],
        interval: int = 10,
        count: int = 4,
        image_key: str = "image",
        mask_key: str | None = None,
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
        """Writes the picture of this epoch (rank 0 alone)."""
        if current_rank() != 0 or not len(self.items):
            return
        batch = list_data_collate([self.items[i] for i in range(min(self.count, len(self.items)))])
        originals = {"image": batch_tensor(batch, self.image_key).float()}
        if self.mask_key is not None:
            originals["mask"] = batch_tensor(batch, self.mask_key).long()
        device = next(self.network.parameters()).device
        with eval_mode(self.network):
            made = self.network.reconstruct(*(part.to(device) for part in originals.values())).cpu()
        path = self.folder / f"epoch_{engine.state.epoch:04d}_reconstructed.png"
        draw_pairs(originals, decoded_parts(made, self.network), path)
