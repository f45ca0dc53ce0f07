# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Trains the networks of :class:`~monai_genaug.metrics.features.medical.MedicalFeatures`.

``python -m monai_genaug.experiments.feature_networks --dataset-dir <data> --out <folder>`` writes ``medical_2d.pt``,
``medical_3d.pt`` and a record of each; 10 minutes each on one core. A run that was stopped goes on where it was.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor, nn
from torch.nn import functional

from monai_genaug.experiments.feature_images import SIZE, FeatureImages, read_feature_images
from monai_genaug.experiments.feature_tasks import ChangedImages, changed_images
from monai_genaug.experiments.step_bar import step_bar
from monai_genaug.generators import derive_seed
from monai_genaug.metrics.features.network import FeatureNetwork
from monai_genaug.weights import read_training_state, save_training_state, save_weights

__all__ = ["FeatureTraining", "train_feature_networks"]

_STEPS, _BATCH = {2: 5000, 3: 2500}, {2: 64, 3: 32}
_LEARNING_RATE, _DECAY = 2e-3, 1e-4
_SAVED_EVERY = 200
_ORIENTATIONS = 8
_APPEARANCE_WEIGHT = 4.0
_LICENCE = "CC-BY-SA-4.0"  # that of the hippocampus volumes; the other sets are CC-BY-4.0


class FeatureTraining:
    """Teaches a network to tell (data set, class), orientation and appearance at once.

    Args:
        train: the images.
        spatial_dims: 2 or 3.
        steps: of the optimisation.
        seed: of the first weights and of all draws; step i draws from (seed, i) alone.
    """

    def __init__(self, train: FeatureImages, spatial_dims: int, steps: int, seed: int = 0) -> None:
        self.train, self.steps, self.seed, self.done = train, steps, seed, 0
        self.batch_size = _BATCH[spatial_dims]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = FeatureNetwork(spatial_dims)
            width, answers = self.network.n_features, 3 + self.network.in_channels
            sizes = {"classes": len(train.classes), "orientation": _ORIENTATIONS, "appearance": answers}
            self.heads = nn.ModuleDict({name: nn.Linear(width, size) for name, size in sizes.items()})
        layout = torch.channels_last if spatial_dims == 2 else torch.channels_last_3d
        self.network.to(memory_format=layout)
        parameters = [*self.network.parameters(), *self.heads.parameters()]
        self.optimizer = torch.optim.AdamW(parameters, _LEARNING_RATE, weight_decay=_DECAY)
        self.scheduler = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, _LEARNING_RATE, total_steps=steps)
        self.pools = [(train.labels == number).nonzero()[:, 0] for number in range(len(train.classes))]

    def run(self, checkpoint: Path, label: str) -> None:
        """Trains to the end, from the checkpoint if there is one."""
        if checkpoint.is_file():
            self._load(read_training_state(checkpoint))
        with step_bar(label, self.steps) as move:
            while self.done < self.steps:
                self._step()
                move(self.done)
                if self.done % _SAVED_EVERY == 0:
                    save_training_state(self._state(), checkpoint)
        self._standardise()

    def figures(self, held_out: FeatureImages) -> dict[str, Any]:
        """How well the tasks are solved on images that were not trained on.

        Returns:
            ``classes``: class -> share of its unchanged images that were found; ``orientation``: share of changed
            images whose orientation was found; ``appearance_error``: mean absolute error of blur, noise, contrast and
            channels, of values in [-1, 1].
        """
        found, turned, errors = [], [], []
        rng = torch.Generator().manual_seed(derive_seed("feature figures", self.seed))
        with torch.no_grad():
            for chunk in held_out.images.split(64):
                plain = chunk.float() / 255.0
                found.append(self._answers(plain.expand(-1, self.network.in_channels, *plain.shape[2:]))["classes"])
                changed = changed_images(plain, self.network.in_channels, rng)
                answers = self._answers(changed.images)
                turned.append(answers["orientation"].argmax(dim=1) == changed.orientation)
                errors.append((answers["appearance"] - changed.appearance).abs())
        hits = torch.cat(found).argmax(dim=1) == held_out.labels
        shares = [float(hits[held_out.labels == number].double().mean()) for number in range(len(held_out.classes))]
        return {
            "classes": {name: round(share, 3) for name, share in zip(held_out.classes, shares, strict=True)},
            "orientation": round(float(torch.cat(turned).double().mean()), 3),
            "appearance_error": [round(float(value), 3) for value in torch.cat(errors).mean(dim=0)],
        }

    def _answers(self, images: Tensor) -> dict[str, Tensor]:
        features = self.network.eval().pooled(images)
        return {name: head(features) for name, head in self.heads.items()}

    def _step(self) -> None:
        rng = torch.Generator().manual_seed(derive_seed("feature training", self.seed, self.done))
        classes = torch.randint(len(self.pools), (self.batch_size,), generator=rng)
        places = torch.rand(self.batch_size, generator=rng).tolist()
        pools = [self.pools[number] for number in classes.tolist()]
        chosen = torch.stack([pool[int(place * len(pool))] for pool, place in zip(pools, places, strict=True)])
        changed = changed_images(self.train.images[chosen].float() / 255.0, self.network.in_channels, rng)
        loss = self._loss(changed, classes)
        if not loss.isfinite():
            raise RuntimeError(f"the loss of step {self.done} is {float(loss)}.")
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.scheduler.step()
        self.done += 1

    def _loss(self, changed: ChangedImages, classes: Tensor) -> Tensor:
        # with bfloat16, gradients of 3D convolutions over few voxels can come out as NaN
        with torch.autocast("cpu", torch.bfloat16, enabled=self.network.spatial_dims == 2):
            features = self.network.train().pooled(changed.images)
        answers = {name: head(features.float()) for name, head in self.heads.items()}
        told = functional.cross_entropy(answers["classes"], classes)
        turned = functional.cross_entropy(answers["orientation"], changed.orientation)
        appearance = functional.mse_loss(answers["appearance"], changed.appearance)
        return told + turned + _APPEARANCE_WEIGHT * appearance

    @torch.no_grad()
    def _standardise(self) -> None:
        """Sets mean and spread of the features to those of the unchanged training images, each class as often."""
        self.network.eval()
        means, squares = [], []
        for pool in self.pools:
            images = self.train.images[pool].split(64)
            grey = [chunk.float().expand(-1, self.network.in_channels, *chunk.shape[2:]) / 255.0 for chunk in images]
            rows = torch.cat([self.network.pooled(chunk) for chunk in grey]).double()
            means.append(rows.mean(dim=0))
            squares.append(rows.square().mean(dim=0))
        mean = torch.stack(means).mean(dim=0)
        variance = torch.stack(squares).mean(dim=0) - mean.square()
        self.network.centre.copy_(mean)
        self.network.spread.copy_(variance.clamp(min=1e-6).sqrt())

    def _state(self) -> dict[str, Any]:
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        return {"done": self.done, "steps": self.steps, "seed": self.seed, **parts}

    def _load(self, state: dict[str, Any]) -> None:
        settings = (state["steps"], state["seed"])
        if settings != (self.steps, self.seed):
            raise ValueError(f"the checkpoint is of (steps, seed) {settings}, asked for: {(self.steps, self.seed)}.")
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.done = state["done"]

    def _parts(self) -> dict[str, Any]:
        names = ("network", "heads", "optimizer", "scheduler")
        return {name: getattr(self, name) for name in names}


def train_feature_networks(
    dataset_dir: Annotated[Path, typer.Option(help="Folder with medmnist, busi_128 and Task04_Hippocampus.")],
    out: Annotated[Path, typer.Option(help="Folder for the weights and records.")],
    spatial_dims: Annotated[list[int], typer.Option(help="2, 3 or both.")] = [2, 3],  # noqa: B006
    steps: Annotated[int, typer.Option(help="Optimisation steps; 0 for 5000 in 2D and 2500 in 3D.")] = 0,
    seed: int = 0,
) -> None:
    """Trains the feature networks that come with the package."""
    out.mkdir(parents=True, exist_ok=True)
    for dims in spatial_dims:
        train, held_out = (read_feature_images(dataset_dir, dims, part) for part in ("train", "val"))
        training = FeatureTraining(train, dims, steps or _STEPS[dims], seed)
        training.run(out / f"checkpoint_{dims}d.pt", f"{dims}D")
        path = out / f"medical_{dims}d.pt"
        counts = torch.bincount(train.labels, minlength=len(train.classes)).tolist()
        record = {
            "sha256": save_weights(training.network.state_dict(), path, half=True),
            "size": SIZE[dims],
            "licence": _LICENCE,
            "steps": training.steps,
            "seed": seed,
            "n_train": dict(zip(train.classes, counts, strict=True)),
            "n_val": len(held_out.labels),
            "validation": training.figures(held_out),
        }
        path.with_suffix(".json").write_text(json.dumps(record, indent=2) + "\n")
        typer.echo(json.dumps(record["validation"], indent=2))


if __name__ == "__main__":
    typer.run(train_feature_networks)
