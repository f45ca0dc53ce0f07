# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What a GPU brings: samples of shipped generators, training steps of shipped bundles, GenerativePrepareBatch.

Training steps are those of the bundles' ``train.json``, without its handlers, on batches of noise. The last
row is the training of a small U-Net on paired batches of 8, of whose items 30 % are replaced.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from monai.bundle import ConfigParser
from monai.engines import SupervisedTrainer, default_prepare_batch
from monai.losses import DiceCELoss
from monai.networks.nets import BasicUNet
from torch import Tensor

import monai_genaug
from benchmarks.timing import Row, alternate, rate_row, show, time_row
from monai_genaug import GenerativePrepareBatch, GeneratorSpec, SampleGenerator, load_generator

SAMPLED = ("chest_xray_cvae", "chest_xray_cgan", "skin_lesion_dcgan", "hippocampus_mri_rhvae")
TRAINED = ("chest_xray_cvae", "skin_lesion_dcgan", "hippocampus_mri_rhvae")
PAIRED = "hippocampus_mri_rhvae"


def rows(quick: bool = False) -> list[Row]:
    """All three, or one row that says that there is no GPU."""
    return on_device("cuda", quick) if torch.cuda.is_available() else [Row("no GPU", note="nothing measured")]


def on_device(device: str, quick: bool = False) -> list[Row]:
    """The rows of one device."""
    return [
        *(sampling(name, device, quick) for name in SAMPLED),
        *(training(name, device, quick) for name in TRAINED),
        prepare_batch(load_generator(PAIRED, device=device), quick),
    ]


def sampling(name: str, device: str, quick: bool) -> Row:
    """Samples of a shipped generator, beside the CPU."""
    generators = {"cpu": load_generator(name), device: load_generator(name, device=device)}
    spec = generators["cpu"].spec
    label = None if spec.classes is None else min(spec.classes)
    count = 2 if quick else 256 if len(spec.spatial_shape) == 2 else 32
    runs = {
        where: _finished(lambda made=made: made.sample(range(count), label), where)  # type: ignore[misc]
        for where, made in generators.items()
    }
    seconds = alternate(runs, 1 if quick else 5)
    return rate_row(f"{name}: sample", seconds[device], "sample", count, "CPU", seconds["cpu"])


def training(name: str, device: str, quick: bool) -> Row:
    """One step of the trainer of a shipped bundle."""
    steps = 1 if quick else 20
    trainer = _bundle_trainer(name, device, steps, 2 if quick else None)
    seconds = alternate({"steps": _finished(trainer.run, device)}, 1 if quick else 5)["steps"]
    return time_row(
        f"{name}: training", seconds, "step", steps, note=f"batches of {len(trainer.data_loader[0]['image'])}"
    )


def _bundle_trainer(name: str, device: str, steps: int, batch_size: int | None) -> Any:
    """The trainer of ``train.json``, ``steps`` times on one batch of noise; its own batch size by default."""
    parser = ConfigParser()
    parser.read_config(Path(monai_genaug.__file__).parent / "bundles" / name / "configs" / "train.json")
    size = batch_size or parser.get("batch_size") or parser["train_dataloader"]["batch_size"]
    batch = _noise(load_generator(name).spec, size)
    parser["device"] = device
    parser["handlers"] = []
    parser["trainer"]["max_epochs"] = 1
    parser["trainer"]["train_data_loader"] = [batch] * steps
    return parser.get_parsed_content("trainer")


def _noise(spec: GeneratorSpec, size: int) -> dict[str, Tensor]:
    """A batch in a generator's space, the whole of it observed, its classes in turn."""
    rng = torch.Generator().manual_seed(0)
    batch: dict[str, Tensor] = {"observed": torch.ones(size, 1, *spec.spatial_shape)}
    for output in spec.outputs.values():
        shape = (size, output.channels, *spec.spatial_shape)
        if output.kind == "image":
            batch["image"] = torch.rand(shape, generator=rng)
        else:
            batch["label"] = torch.randint(len(output.class_names), shape, generator=rng, dtype=torch.uint8)
    if spec.classes is not None:
        batch["label"] = torch.arange(size) % len(spec.classes)
    return batch


def prepare_batch(generator: SampleGenerator, quick: bool) -> Row:
    """A step with replaced items, of a generator of image and mask in 3D, beside one without."""
    steps, device = 1 if quick else 20, str(generator.device)
    samples = generator.sample(range(2 if quick else 8))
    batch = {"image": samples["image"], "label": samples["mask"]}
    replacing = GenerativePrepareBatch(("image", "label"), generator, prob=0.3)
    trainers = {"with": _segmentation(batch, steps, device, replacing)}
    replacing.attach(trainers["with"])
    trainers["without"] = _segmentation(batch, steps, device, default_prepare_batch)
    seconds = alternate({name: _finished(trainer.run, device) for name, trainer in trainers.items()}, 1 if quick else 5)
    share = 1 - median(seconds["without"]) / median(seconds["with"])
    note = f"{share:.0%} of the step is the replacement"
    return time_row(
        "U-Net step with GenerativePrepareBatch",
        seconds["with"],
        "step",
        steps,
        "without",
        seconds["without"],
        note=note,
    )


def _segmentation(batch: dict[str, Tensor], steps: int, device: str, prepare_batch: Any) -> Any:
    torch.manual_seed(0)
    network = BasicUNet(3, 1, 3, features=(16, 16, 32, 32, 64, 16)).to(device)
    return SupervisedTrainer(
        device=torch.device(device),
        max_epochs=1,
        train_data_loader=[batch] * steps,
        network=network,
        optimizer=torch.optim.Adam(network.parameters()),
        loss_function=DiceCELoss(to_onehot_y=True, softmax=True),
        prepare_batch=prepare_batch,
        decollate=False,
    )


def _finished(run: Callable[[], object], device: str) -> Callable[[], None]:
    """A run that ends when the device has done its work."""

    def wait() -> None:
        run()
        if device.startswith("cuda"):
            torch.cuda.synchronize()

    return wait


if __name__ == "__main__":
    show(rows)
