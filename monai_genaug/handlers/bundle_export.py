# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""At the end of a training: the best weights, a fitted latent distribution, and a bundle made of both."""

from __future__ import annotations

import copy
import dataclasses
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.transforms import Compose
from monai.utils import convert_to_tensor
from torch import Tensor

from monai_genaug.generators import (
    GeneratorSpec,
    NetworkGenerator,
    Provenance,
    VAEGenerator,
    content_hash,
    current_rank,
    derive_seed,
    plain_label,
    preprocessing_for,
    subject_hash,
)
from monai_genaug.generators.bundle_export import check_export_target, export_bundle
from monai_genaug.generators.bundle_reference import BundleReference
from monai_genaug.generators.encoder_input import encoder_input
from monai_genaug.handlers.training_checkpoint import TrainingCheckpoint
from monai_genaug.networks import DCGANGenerator, LatentAutoencoder, LatentDecoder
from monai_genaug.quality.centroid_compression import compress_network, has_manifolds
from monai_genaug.weights import load_strict, read_weights, save_weights

__all__ = ["BundleExport"]

_CALIBRATION_CODES = 2048
_CALIBRATION_BATCH = 64


class BundleExport:
    """Exports a bundle when a training completes (rank 0 alone); the bundle that was trained with is never touched.

    The best or the last weights are taken (the last ones if no epoch was validated). They are rounded as they will be
    stored, then what only generation needs is fitted: for a VAE the latent distribution, with that encoder, on items as
    the generator's own ``preprocessing`` makes them, without augmentation; for other networks the statistics of batch
    normalisation, on new codes. ``Provenance`` gets the hashes of the preprocessed training items; warnings of the
    source's spec, which are about its weights, are left out. Attach it last.

    Args:
        checkpoint: where the best weights are.
        network: the trained network; of a GAN the averaged generator is taken.
        network_args: what its class was called with.
        source_bundle: bundle whose configs are copied and whose spec is the template.
        folder: the new bundle.
        train_items: data list of the training part, with paths or channel-first arrays under the keys.
        val_items: data list of the validation part, whose codes tell how far the latent space reaches.
        keys: keys of the paths, parallel to the outputs of the spec.
        class_key: where an item has its class; None for an unconditional network.
        seed: of the run, for the record.
        subject_key: where an item names its subject; None to store no subject hashes.
        batch_size: volumes encoded at once.
        weights: ``"best"`` by the validation bound, or ``"last"``. A learned variance shrinks with the error on the
            training part, so the bound of held-out data can fall while their reconstructions still improve; with a
            learning rate that ends at 0, the last weights are then the better ones.
        min_subjects: for how many subjects each stored centroid of a manifold stands at least, see
            :func:`~monai_genaug.quality.compress_centroids`; 1 stores the code of every training item. Other
            distributions store none and ignore it.
        centroid_width: ``width`` there; with ``min_subjects=1`` it is not used.

    Raises:
        ValueError: another value of ``weights``, ``min_subjects`` below 1, a class key that the network doesn't need,
            or none where it does; when training starts: the folder lies inside the source bundle, its spec fits neither
            network nor keys, or there are too few subjects for two centroids.
        FileExistsError: when training starts: the folder exists.
    """

    def __init__(
        self,
        checkpoint: TrainingCheckpoint,
        network: LatentDecoder,
        network_args: Mapping[str, Any],
        source_bundle: str | os.PathLike[str],
        folder: str | os.PathLike[str],
        train_items: Sequence[Mapping[str, Any]],
        val_items: Sequence[Mapping[str, Any]],
        keys: Sequence[str] = ("image", "label"),
        seed: int = 0,
        subject_key: str | None = "subject",
        batch_size: int = 8,
        weights: str = "best",
        class_key: str | None = None,
        min_subjects: int = 1,
        centroid_width: float | None = None,
    ) -> None:
        if min_subjects < 1:
            raise ValueError(f"min_subjects is {min_subjects}, allowed: 1 and more.")
        if weights not in ("best", "last"):
            raise ValueError(f"weights is {weights!r}, allowed: 'best', 'last'.")
        if (class_key is None) != (network.n_classes == 0):
            raise ValueError(f"class_key is {class_key!r}, but the network has {network.n_classes} classes.")
        self.weights = weights
        self.checkpoint, self.network, self.network_args = checkpoint, network, dict(network_args)
        self.source, self.folder = Path(source_bundle), Path(folder)
        self.train_items, self.val_items = train_items, val_items
        self.keys, self.seed, self.subject_key, self.batch_size = tuple(keys), seed, subject_key, batch_size
        self.class_key = class_key
        self.min_subjects, self.centroid_width = min_subjects, centroid_width

    def attach(self, engine: Engine) -> None:
        """Attaches to a trainer."""
        engine.add_event_handler(Events.STARTED, self.check)
        engine.add_event_handler(Events.COMPLETED, self)

    def check(self, engine: Engine) -> None:
        """Refuses before training what export would refuse after it."""
        check_export_target(self.source, self.folder)
        spec = self._template()
        kind = VAEGenerator if isinstance(self.network, LatentAutoencoder) else NetworkGenerator
        kind.check_fits(self.network, spec)
        _Items(self.train_items, spec, self.keys, self.batch_size)
        for subjects in self._subjects_by_class() if self._compresses else []:
            if len(set(subjects)) < 2 * self.min_subjects:
                raise ValueError(
                    f"there are {len(set(subjects))} subjects, needed for centroids of {self.min_subjects}: "
                    f"{2 * self.min_subjects} and more, of each class."
                )

    def __call__(self, engine: Engine) -> None:
        """Fits and exports."""
        if current_rank() != 0:
            return
        network: LatentDecoder = copy.deepcopy(getattr(engine, "averaged", self.network)).cpu().eval()
        best = self.checkpoint.best_path
        if self.weights == "best" and best.is_file():
            load_strict(network, read_weights(best), str(best))
        _round_as_stored(network)
        spec = self._template()
        train = _Items(self.train_items, spec, self.keys, self.batch_size)
        if isinstance(network, LatentAutoencoder):
            held_out = _Items(self.val_items, spec, self.keys, self.batch_size)
            network.fit_generation(self._inputs(train, network), self._inputs(held_out, network))
            if self._compresses:
                network = compress_network(
                    network, self.min_subjects, self._subjects(), self._classes(), self.centroid_width
                )
        elif isinstance(network, DCGANGenerator):
            network.calibrate(self._codes(network))
        spec = spec.replace(provenance=self._provenance(spec, train), warnings=())  # those of other weights
        export_bundle(network, self.network_args, spec, self.source, self.folder)

    def _template(self) -> GeneratorSpec:
        spec = BundleReference.read(self.source).spec
        return spec.replace(spatial_shape=self.network.spatial_shape, truncation=self.network.supports_truncation)

    def _inputs(self, items: _Items, network: LatentAutoencoder) -> _Inputs:
        return _Inputs(items, network, self.class_key)

    @property
    def _compresses(self) -> bool:
        return self.min_subjects > 1 and has_manifolds(self.network)

    def _subjects(self) -> list[str]:
        """Whom each training item shows; without a key each shows somebody else."""
        key = self.subject_key
        return [str(i) if key is None else str(item[key]) for i, item in enumerate(self.train_items)]

    def _classes(self) -> list[int] | None:
        return None if self.class_key is None else [_label(item, self.class_key) for item in self.train_items]

    def _subjects_by_class(self) -> list[list[str]]:
        subjects, classes = self._subjects(), self._classes()
        if classes is None:
            return [subjects]
        return [
            [name for name, of_class in zip(subjects, classes, strict=True) if of_class == number]
            for number in range(self.network.n_classes)
        ]

    def _codes(self, network: LatentDecoder) -> list[Tensor]:
        """New codes in batches, with the classes of the training items."""
        labels = [] if self.class_key is None else [_label(item, self.class_key) for item in self.train_items]
        batches = []
        for start in range(0, _CALIBRATION_CODES, _CALIBRATION_BATCH):
            seeds = [derive_seed("calibration", self.seed, i) for i in range(start, start + _CALIBRATION_BATCH)]
            classes = [labels[seed % len(labels)] for seed in seeds] if network.n_classes else None
            z = network.draw_latent(seeds, classes)
            batches.append(network.with_class(z, None if classes is None else torch.tensor(classes)))
        return batches

    def _provenance(self, spec: GeneratorSpec, train: _Items) -> Provenance:
        subjects, salt = [], ""
        if self.subject_key is not None:
            subjects = sorted({str(item[self.subject_key]) for item in self.train_items})
            salt = f"{derive_seed('subjects', spec.name, self.seed):016x}"
        evaluator = self.checkpoint.evaluator
        metrics = {}
        if evaluator is not None and evaluator.state.best_metric_epoch > 0:
            last = evaluator.state.metrics.get("val_elbo", evaluator.state.best_metric)
            metrics["val_elbo"] = float(evaluator.state.best_metric if self.weights == "best" else last)
        return dataclasses.replace(
            spec.provenance or Provenance(dataset=""),
            item_hashes=train.hashes(),
            subject_hashes=tuple(subject_hash(subject, salt) for subject in subjects),
            subject_salt=salt,
            recipe="configs/train.json",
            seed=self.seed,
            metrics=metrics,
        )


class _Items:
    """Items as the generator's preprocessing makes them, batches made when asked for: memory holds one at a time."""

    def __init__(
        self, items: Sequence[Mapping[str, Any]], spec: GeneratorSpec, keys: Sequence[str], batch_size: int
    ) -> None:
        self.items, self.spec, self.batch_size = items, spec, batch_size
        are_paths = len(items) > 0 and isinstance(items[0][keys[0]], (str, os.PathLike))
        self.preprocessing: Compose = preprocessing_for(spec, keys, load=are_paths)
        self.names = dict(zip(spec.outputs, keys, strict=True))

    def load(self, item: Mapping[str, Any]) -> dict[str, Tensor]:
        """Output name -> tensor."""
        made = self.preprocessing({key: item[key] for key in self.names.values()})
        return {name: convert_to_tensor(made[key], track_meta=False) for name, key in self.names.items()}

    def hashes(self) -> tuple[str, ...]:
        """Of the images, in the order of the items."""
        name, output = next((name, output) for name, output in self.spec.outputs.items() if output.kind == "image")
        return tuple(content_hash(self.load(item)[name], output.value_range) for item in self.items)


class _Inputs(Sequence[Tensor]):
    """Batches of what an encoder reads, class by class: what looks for one class then reads few batches."""

    def __init__(self, items: _Items, network: LatentAutoencoder, class_key: str | None) -> None:
        self.items, self.network = items, network
        self.spec = items.spec.replace(encodes=tuple(items.spec.outputs))
        self.chosen, self.labels = items.items, None
        if class_key is not None:
            self.chosen = sorted(items.items, key=lambda item: _label(item, class_key))
            self.labels = [_label(item, class_key) for item in self.chosen]

    def __len__(self) -> int:
        return -(-len(self.chosen) // self.items.batch_size)

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(index)
        part = slice(index * self.items.batch_size, (index + 1) * self.items.batch_size)
        made = [self.items.load(item) for item in self.chosen[part]]
        batch = {name: torch.stack([one[name] for one in made]) for name in self.items.names}
        classes = None if self.labels is None else torch.tensor(self.labels[part])
        return self.network.with_class_planes(encoder_input(batch, self.spec), classes)


def _label(item: Mapping[str, Any], class_key: str) -> int:
    return int(plain_label(item[class_key]))


def _round_as_stored(network: LatentDecoder) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pt"
        save_weights(network.state_dict(), path, half=True)
        load_strict(network, read_weights(path), str(path))
