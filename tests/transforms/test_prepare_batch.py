# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine, Events
from monai.data import DataLoader, Dataset, MetaTensor, list_data_collate
from monai.engines import SupervisedEvaluator, SupervisedTrainer

from monai_genaug.generators import LatentGenerator
from monai_genaug.transforms import GenerativePrepareBatch
from tests.toy import toy_generator, write_toy_bundle

KEYS = ("image", "label")
SHAPE = (16, 16)
PAIRED = toy_generator(SHAPE)
AFFINES = [torch.diag(torch.tensor([1.0, spacing, 1.0, 1.0])) for spacing in (1.0, 2.0)]


def items(count: int = 8) -> list[dict[str, Any]]:
    ramp = torch.linspace(0, 1, 256).reshape(1, 16, 16)
    return [
        {"image": MetaTensor(ramp * (k + 1) / count), "label": (ramp > 0.5).float(), "y": k % 2, "number": k}
        for k in range(count)
    ]


def build(prepare: Any, epochs: int = 2, network: torch.nn.Module | None = None, batch_size: int = 4) -> Any:
    torch.manual_seed(0)
    network = network or torch.nn.Conv2d(1, 1, 3, padding=1)
    return SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=epochs,
        train_data_loader=DataLoader(Dataset(items()), batch_size=batch_size),
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=0.1),
        loss_function=torch.nn.MSELoss(),
        prepare_batch=prepare,
    )


def record(trainer: Engine) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Image, label and flags of every iteration, as the network got them."""
    seen: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []

    def keep(engine: Engine) -> None:
        output, batch = engine.state.output, engine.state.batch
        images = torch.stack([o["image"].as_tensor() for o in output])
        labels = torch.stack([torch.as_tensor(o["label"]) for o in output])
        seen.append((images, labels, torch.tensor([bool(b["is_synthetic"]) for b in batch])))

    trainer.add_event_handler(Events.ITERATION_COMPLETED, keep)
    return seen


def train(prepare: GenerativePrepareBatch, epochs: int = 2) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    trainer = build(prepare, epochs)
    prepare.attach(trainer)
    seen = record(trainer)
    trainer.run()
    return seen


def test_training_on_mixed_batches() -> None:
    seen = train(GenerativePrepareBatch(KEYS, PAIRED, prob=0.5))
    again = train(GenerativePrepareBatch(KEYS, PAIRED, prob=0.5))
    other = train(GenerativePrepareBatch(KEYS, PAIRED, prob=0.5, seed=1))
    real = train(GenerativePrepareBatch(KEYS, PAIRED, prob=0.0))
    assert len(seen) == 4
    flags = torch.cat([f for _, _, f in seen])
    assert 0 < flags.sum() < 16
    assert not torch.equal(flags, torch.cat([f for _, _, f in other]))
    synthetic = []
    for now, then, original in zip(seen, again, real, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(now, then, strict=True))
        for row, flag in enumerate(now[2]):
            assert torch.equal(now[0][row], original[0][row]) != bool(flag)
            assert torch.equal(now[1][row], original[1][row]) != bool(flag)
        synthetic += list(now[0][now[2]])
    assert len({tuple(s.flatten().tolist()) for s in synthetic}) == len(synthetic), "equal samples"


def test_a_resumed_run_is_exact(tmp_path: Path) -> None:
    whole = train(GenerativePrepareBatch(KEYS, PAIRED, prob=0.5), epochs=2)
    first = GenerativePrepareBatch(KEYS, PAIRED, prob=0.5)
    trainer = build(first, epochs=1)
    first.attach(trainer)
    trainer.run()
    resumed = GenerativePrepareBatch(KEYS, PAIRED, prob=0.5)
    trainer_after = build(resumed, epochs=2, network=trainer.network)
    trainer_after.load_state_dict({**trainer.state_dict(), "max_epochs": 2})
    resumed.attach(trainer_after)
    seen = record(trainer_after)
    trainer_after.run()
    assert len(seen) == 2
    for a, b in zip(whole[2:], seen, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_ranks_draw_differently(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        runs.append(train(GenerativePrepareBatch(KEYS, PAIRED, prob=1.0), epochs=1))
    images = [image for run in runs for batch in run for image in batch[0]]
    assert len({tuple(image.flatten().tolist()) for image in images}) == 16


def test_the_generator_is_called_once_per_batch() -> None:
    calls = []

    class Counting(type(PAIRED)):  # type: ignore[misc]
        def sample(self, seeds: Any, *args: Any) -> Any:
            calls.append(len(seeds))
            return super().sample(seeds, *args)

    generator = Counting(PAIRED.network, PAIRED.spec)
    train(GenerativePrepareBatch(KEYS, generator, prob=1.0), epochs=1)
    assert calls == [4, 4]


@pytest.mark.parametrize("mode", ["reconstruct", "perturb", "edit", "interpolate"])
def test_modes(mode: Any) -> None:
    seen = train(GenerativePrepareBatch(KEYS, PAIRED, prob=1.0, mode=mode), epochs=1)
    real = train(GenerativePrepareBatch(KEYS, PAIRED, prob=0.0), epochs=1)
    assert not any(torch.equal(a, b) for x, y in zip(seen, real, strict=True) for a, b in zip(x[0], y[0], strict=True))


def test_classes_and_their_probabilities(classified: LatentGenerator) -> None:
    arguments = {"class_key": "y", "class_map": {0: "benign", 1: "malignant"}}
    seen = train(GenerativePrepareBatch("image", classified, prob={"malignant": 1.0}, **arguments), epochs=1)
    assert [f.tolist() for _, _, f in seen] == [[False, True, False, True]] * 2
    for images, _, flags in seen:
        assert images[flags].min() >= 0.5, "malignant samples lie in the upper half of the intensities"


def test_bundles_are_loaded_on_the_trainers_device(tmp_path: Path) -> None:
    bundle = write_toy_bundle(tmp_path / "toy", SHAPE)
    from_bundle = train(GenerativePrepareBatch(KEYS, bundle, prob=1.0), epochs=1)
    from_object = train(GenerativePrepareBatch(KEYS, PAIRED, prob=1.0), epochs=1)
    assert all(torch.equal(a[0], b[0]) for a, b in zip(from_bundle, from_object, strict=True))


def test_unattached_or_in_an_evaluator_it_raises() -> None:
    prepare = GenerativePrepareBatch(KEYS, PAIRED, prob=1.0)
    with pytest.raises(RuntimeError, match="attach"):
        prepare({"image": torch.zeros(1, 1, 16, 16), "label": torch.zeros(1, 1, 16, 16)})
    with pytest.raises(RuntimeError, match="attach"):
        build(prepare).run()
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(Dataset(items()), batch_size=4),
        network=torch.nn.Conv2d(1, 1, 3, padding=1),
        prepare_batch=prepare,
    )
    with pytest.raises(RuntimeError, match="evaluator"):
        prepare.attach(evaluator)
    trainer = build(prepare)
    prepare.attach(trainer)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda engine: evaluator.run())
    with pytest.raises(RuntimeError, match="evaluator"):
        trainer.run()
    with pytest.raises(RuntimeError, match="already"):
        prepare.attach(build(prepare))


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"image": torch.full((2, 1, 16, 16), 3.0)}, ValueError, "3.*0 to 1"),
        ({"image": torch.full((2, 1, 16, 16), torch.nan)}, ValueError, "NaN"),
        ({"label": torch.full((2, 1, 16, 16), 9)}, ValueError, "9.*0, 1, 2"),
        ({"label": torch.zeros(2, 1, 16, 16, 16)}, ValueError, r"\(1, 16, 16, 16\)"),
        ({"label": None}, KeyError, r"\['label'\].*\['image'\]"),
        (
            {"image": MetaTensor(torch.zeros(2, 1, 16, 16), affine=torch.diag(torch.tensor([3.0, 1, 1, 1])))},
            ValueError,
            r"\(3.0, 1.0\).*\(1.0, 1.0\)",
        ),
        (
            {"image": list_data_collate([MetaTensor(torch.zeros(1, 16, 16), affine=a) for a in AFFINES])},
            ValueError,
            r"\(1.0, 2.0\).*\(1.0, 1.0\)",
        ),
    ],
)
def test_batches_that_do_not_fit(change: dict[str, Any], error: type[Exception], text: str) -> None:
    batch = {"image": torch.zeros(2, 1, 16, 16), "label": torch.zeros(2, 1, 16, 16), **change}
    batch = {key: value for key, value in batch.items() if value is not None}
    prepare = GenerativePrepareBatch(KEYS, PAIRED, prob=0.0)
    engine = Engine(lambda engine, data: prepare(data))
    prepare.attach(engine)
    with pytest.raises(error, match=f"(?s){text}"):
        engine.run([batch])


@pytest.mark.parametrize(
    ("labels", "class_map", "text"),
    [
        (torch.tensor([0, 1]), None, r"0 does not name.*benign.*malignant.*class_map"),
        (["benign", "cyst"], None, r"'cyst' does not name.*benign.*malignant"),
        (torch.tensor([0, 5]), {0: "benign"}, r"5 does not name.*class_map.*0"),
        (None, "identity", r"class_key 'y' is not in the item.*image"),
    ],
)
def test_classes_that_do_not_fit(labels: Any, class_map: Any, text: str, classified: LatentGenerator) -> None:
    prepare = GenerativePrepareBatch("image", classified, prob=0.0, class_key="y", class_map=class_map)
    engine = Engine(lambda engine, data: prepare(data))
    prepare.attach(engine)
    batch = {"image": torch.zeros(2, 1, 16, 16), **({} if labels is None else {"y": labels})}
    with pytest.raises((KeyError, ValueError), match=f"(?s){text}"):
        engine.run([batch])


def test_items_that_came_as_synthetic_stay_so() -> None:
    prepare = GenerativePrepareBatch("image", toy_generator(SHAPE, mask=False), prob=0.0)
    engine = Engine(lambda engine, data: prepare(data))
    prepare.attach(engine)
    image = torch.zeros(3, 1, 16, 16)
    for flags in (torch.tensor([True, False, True]), [True, False, True]):
        batch = {"image": image, "label": image, "is_synthetic": flags}
        assert engine.run([batch]).batch["is_synthetic"].tolist() == [True, False, True]


def test_the_batch_given_is_not_changed() -> None:
    batch = {"image": torch.zeros(2, 1, 16, 16), "label": torch.zeros(2, 1, 16, 16)}
    prepare = GenerativePrepareBatch(KEYS, PAIRED, prob=1.0)
    engine = Engine(lambda engine, data: prepare(data))
    prepare.attach(engine)
    image, _ = engine.run([batch]).output
    assert image.any()
    assert not batch["image"].any()
    assert batch.keys() == {"image", "label"}
