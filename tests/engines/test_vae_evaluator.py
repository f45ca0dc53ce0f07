# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch
from monai.data import DataLoader, Dataset

from monai_genaug.engines import VAEEvaluator
from monai_genaug.engines.elbo_step import noise_generator
from monai_genaug.generators import derive_seed
from monai_genaug.networks import VAE
from tests.engines.toy_run import SHAPE, toy_network, volumes


def loader(count: int, batch_size: int) -> DataLoader:
    return DataLoader(Dataset(volumes(count, 3)), batch_size=batch_size, generator=torch.Generator())


def test_epochs_compare_and_weights_count() -> None:
    network = toy_network()
    evaluator = VAEEvaluator("cpu", loader(5, 2), network)
    values = []
    for epoch in (1, 2):
        evaluator.run(epoch)
        values.append(evaluator.state.metrics["val_elbo"])
    assert values[0] == values[1]
    with torch.no_grad():
        network.log_variance.add_(1.0)
    evaluator.run(3)
    assert evaluator.state.metrics["val_elbo"] != values[0]


def test_mean_is_over_items_not_batches() -> None:
    network, items = toy_network(), volumes(5, 3)
    evaluator = VAEEvaluator("cpu", loader(5, 3), network)
    evaluator.run()
    total = 0.0
    with torch.no_grad():
        for position, chosen in enumerate((items[:3], items[3:])):
            x = network.join(*(torch.stack([item[key] for item in chosen]) for key in ("image", "label")))
            noise = noise_generator(derive_seed("validation", 0, position, 0))
            total += float(network.elbo(x, None, noise)["loss"]) * len(chosen)
    assert evaluator.state.metrics["val_elbo"] == pytest.approx(-total / 5, rel=1e-6)


def test_images_alone() -> None:
    network = VAE(3, SHAPE, latent_dim=2, channels=(4, 4))
    evaluator = VAEEvaluator("cpu", loader(2, 2), network, mask_key=None)
    evaluator.run()
    assert evaluator.state.metrics["val_mask"] == 0.0
    assert evaluator.state.key_metric_name == "val_elbo"
    assert network.training
