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

from monai_genaug.engines import NonFiniteLossError, VAEEvaluator, VAETrainer
from monai_genaug.generators import VAEGenerator
from monai_genaug.networks import ConditionalVAE, LatentAutoencoder
from monai_genaug.weights import read_training_state
from tests.engines.toy_run import SHAPE, build, toy_network, volumes
from tests.toy_families import family_arguments, family_network, family_spec, pictures


def trainer_of(network: LatentAutoencoder, data: list[dict[str, Any]], **changes: Any) -> VAETrainer:
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
    return VAETrainer("cpu", 1, DataLoader(Dataset(data), batch_size=4), network, optimizer, **changes)


def test_training_improves_the_bound_and_reports_its_parts(tmp_path: Path) -> None:
    run = build(tmp_path, 12, schedule=40)
    run.evaluator.run()
    before = run.evaluator.state.metrics["val_elbo"]
    run.trainer.run()
    assert run.evaluator.state.metrics["val_elbo"] > before + 0.05
    assert set(run.trainer.state.output) == {"loss", "image", "mask", "kl", "grad_norm"}
    assert all(isinstance(value, float) for value in run.trainer.state.output.values())


def test_bfloat16_trains_and_is_not_float32() -> None:
    weights = []
    for amp in ("bfloat16", None):
        network = toy_network()
        trainer = trainer_of(network, volumes(4, 0), amp=amp)
        trainer.run()
        assert np.isfinite(trainer.state.output["loss"])
        assert all(parameter.dtype == torch.float32 for parameter in network.parameters())
        weights.append(network.to_posterior.weight.detach().clone())
    assert not torch.equal(*weights)
    torch.testing.assert_close(*weights, rtol=0.1, atol=0.01)


def test_bad_loss_names_epoch_and_iteration_and_keeps_the_weights(tmp_path: Path) -> None:
    run = build(tmp_path, 3)
    kept: dict[str, torch.Tensor] = {}

    @run.trainer.on(Events.ITERATION_STARTED(once=5))
    def poison(engine: Engine) -> None:
        kept.update(copy.deepcopy(run.network.state_dict()))
        engine.state.batch["image"][0, 0, 0, 0, 0] = float("nan")

    with pytest.raises(NonFiniteLossError, match="epoch 2, iteration 5"):
        run.trainer.run()
    assert all(torch.equal(tensor, kept[name]) for name, tensor in run.network.state_dict().items())
    assert read_training_state(tmp_path / "last.pt")["trainer"]["epoch"] == 1


def test_global_random_state_is_untouched(tmp_path: Path) -> None:
    run = build(tmp_path, 1)
    torch.manual_seed(0)
    np.random.seed(0)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]
    run.trainer.run()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # type: ignore[index]


def test_gradients_are_shortened() -> None:
    moved = []
    for limit in (1e-3, None):
        network = toy_network()
        start = network.to_posterior.bias.detach().clone()
        trainer = trainer_of(network, volumes(4, 0), max_grad_norm=limit)
        trainer.run()
        assert trainer.state.output["grad_norm"] > 1e-3
        moved.append((network.to_posterior.bias - start).norm().item())
    assert moved[0] < 0.5 * moved[1]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"amp": "float8"}, "float8"),
        ({"max_grad_norm": 0.0}, "max_grad_norm"),
    ],
)
def test_bad_arguments(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        trainer_of(toy_network(), volumes(2, 0), **changes)


def test_bad_batches_are_named() -> None:
    network = toy_network()
    with pytest.raises(KeyError, match="label"):
        trainer_of(network, [{"image": torch.rand(1, *SHAPE)}]).run()
    with pytest.raises(ValueError, match="labels from 0 to 7"):
        trainer_of(network, [{"image": torch.rand(1, *SHAPE), "label": torch.arange(8).expand(1, *SHAPE)}]).run()
    with pytest.raises(ValueError, match="image is"):
        trainer_of(network, [{"image": torch.rand(1, 4, 4, 4), "label": torch.zeros(1, 4, 4, 4)}]).run()


def test_observed_mask_reaches_the_likelihood() -> None:
    losses = []
    for share in (0.0, 1.0):
        data = [{**item, "observed": torch.full((1, *SHAPE), share)} for item in volumes(4, 0)]
        trainer = trainer_of(toy_network(), data, observed_key="observed")
        trainer.run()
        losses.append(trainer.state.output["image"])
    assert losses[0] == 0.0
    assert losses[1] != 0.0


def test_classes_reach_the_networks_that_have_them() -> None:
    items = [{"image": image, "y": i % 2} for i, image in enumerate(pictures(8))]
    for kind in ("conditional_vae", "per_class_vae"):
        network = family_network(kind)
        trainer = trainer_of(network, items, mask_key=None, class_key="y")
        before = copy.deepcopy(network.state_dict())
        trainer.run()
        moved = [name for name, tensor in network.named_parameters() if not torch.equal(tensor, before[name])]
        if kind == "conditional_vae":
            assert "class_channel.weight" in moved
        else:
            assert {name.split(".")[1] for name in moved} == {"0", "1"}
        evaluator = VAEEvaluator("cpu", DataLoader(Dataset(items), batch_size=4), network, mask_key=None, class_key="y")
        evaluator.run()
        assert np.isfinite(evaluator.state.metrics["val_elbo"])
        with pytest.raises(ValueError, match="n_classes is 2, the classes are missing"):
            trainer_of(network, items, mask_key=None).run()
    with pytest.raises(ValueError, match="n_classes is 0, the classes are given"):
        trainer_of(family_network("joint_vae"), items, mask_key=None, class_key="y").run()


def test_a_conditional_vae_learns_the_brightness_of_its_classes() -> None:
    items = [{"image": image, "y": i % 2} for i, image in enumerate(pictures(16))]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = ConditionalVAE(**family_arguments("conditional_vae"))
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-2)
    loader = DataLoader(Dataset(items), batch_size=8)
    VAETrainer("cpu", 25, loader, network, optimizer, mask_key=None, class_key="y").run()
    generator = VAEGenerator(network, family_spec(network))
    means = [generator.sample(range(20), label)["image"].mean() for label in ("a", "b")]
    assert means[0] < 0.4  # of the images: 0.25 and 0.75
    assert means[1] > 0.6
