# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The random replacement per batch, inside an Ignite trainer, on its device."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.config import KeysCollection
from monai.engines import Evaluator, PrepareBatch, default_prepare_batch
from monai.utils import ensure_tuple
from torch import Tensor

from monai_genaug.generators.base import SampleGenerator
from monai_genaug.generators.class_labels import ClassLabel
from monai_genaug.generators.loading import load_generator
from monai_genaug.generators.seeding import current_rank, derive_seed
from monai_genaug.latent.draws import uniform
from monai_genaug.quality.leakage import OnOverlap
from monai_genaug.transforms.held_out import _check_held_out, _HeldOut
from monai_genaug.transforms.label_maps import LabelMap, _check_class_key, _item_label
from monai_genaug.transforms.matching import _present
from monai_genaug.transforms.shared_probability import _SharedProbability
from monai_genaug.transforms.synthesis import Mode, _Synthesis

__all__ = ["GenerativePrepareBatch"]


class GenerativePrepareBatch(PrepareBatch):
    """Replaces items of a batch as :class:`RandGenerativeSampled` does, all in one call of the generator.

    For ``SupervisedTrainer(prepare_batch=...)``: it works in the main process on the trainer's device, so a generator
    on a GPU is no problem, and caches and persistent workers need nothing. The seeds are a hash of ``seed``, the
    trainer's iteration, the rank and the position in the batch, so a resumed run continues exactly. The changed batch,
    with the flags ``synthetic_key``, becomes ``trainer.state.batch``; the network gets what MONAI's default gives it
    (the keys ``image`` and ``label``).

    Args:
        keys: keys of the tensors to replace, parallel to ``outputs``.
        generator: name of a shipped bundle or path of a bundle folder, which is then loaded on the trainer's device, or
            a generator, which stays where it is.
        prob: see :class:`RandGenerativeSampled`, as for the following.
        outputs: outputs of the generator to use, None for all.
        mode: ``"sample"``, ``"reconstruct"``, ``"perturb"``, ``"edit"`` or ``"interpolate"``.
        class_key: key of the batch's classes.
        class_map: item value -> class name, or ``"identity"``.
        mask_map: item value -> class name of the generator's mask.
        strength: how far the modes ``"perturb"``, ``"edit"`` and ``"interpolate"`` go.
        truncation: in (0, 1], of the mode ``"sample"``.
        adapt: deterministic dictionary transform, applied to each generated item first.
        synthetic_key: key of the flags, a bool tensor ``(n,)``, true also for items that came with a true one; None
            for no flags.
        allow_missing_keys: skip keys that the batch doesn't have.
        seed: another seed gives other samples.
        held_out: validation or test items as :func:`check_leakage` takes them, or their :func:`held_out_hashes`: the
            generator must not have been trained on them.
        on_overlap: what happens if it was: ``"warn"`` (:class:`LeakageWarning`) or ``"raise"``
            (:class:`LeakageError`); a provenance without hashes warns.

    Raises:
        ValueError, TypeError: as :class:`RandGenerativeSampled`.

    Example:
        >>> prepare = mg.GenerativePrepareBatch(
        ...     "image", "breast_us_cgan", prob=1.0, class_key="label", class_map="identity"
        ... )
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 2))
        >>> trainer = SupervisedTrainer(
        ...     device=torch.device("cpu"),
        ...     max_epochs=1,
        ...     train_data_loader=[{"image": torch.zeros(2, 1, 28, 28), "label": torch.tensor([0, 1])}],
        ...     network=network,
        ...     optimizer=torch.optim.SGD(network.parameters(), 0.1),
        ...     loss_function=torch.nn.CrossEntropyLoss(),
        ...     prepare_batch=prepare,
        ... )
        >>> prepare.attach(trainer)
        >>> trainer.run()
        >>> [bool(item["is_synthetic"]) for item in trainer.state.batch]
        [True, True]
    """

    def __init__(
        self,
        keys: KeysCollection,
        generator: str | Path | SampleGenerator,
        prob: float | Mapping[Any, float] = 0.1,
        outputs: str | Sequence[str] | None = None,
        mode: Mode = "sample",
        class_key: Hashable | None = None,
        class_map: LabelMap = None,
        mask_map: LabelMap = None,
        strength: float = 1.0,
        truncation: float = 1.0,
        adapt: Callable[[Any], Any] | None = None,
        synthetic_key: str | None = "is_synthetic",
        allow_missing_keys: bool = False,
        seed: int = 0,
        held_out: _HeldOut = None,
        on_overlap: OnOverlap = "warn",
    ) -> None:
        self.keys: tuple[Hashable, ...] = ensure_tuple(keys)
        loaded = load_generator(generator)
        self._synthesis = _Synthesis(loaded, self.keys, outputs, mode, class_map, mask_map, strength, truncation, adapt)
        has_classes = loaded.spec.classes is not None
        self._probability = _SharedProbability(prob, self._synthesis.class_map if has_classes else None)
        _check_class_key(class_key, loaded.spec, self._probability.per_class)
        _check_held_out(self._synthesis, held_out, on_overlap)
        self._source = generator
        self.class_key, self.synthetic_key = class_key, synthetic_key
        self.allow_missing_keys, self.seed = allow_missing_keys, int(seed)
        self._trainer: Engine | None = None
        self._iteration: int | None = None

    @property
    def prob(self) -> float | dict[ClassLabel, float]:
        """The present probability, or class -> probability; setting a number does what it does for the transform."""
        return self._probability.current()

    @prob.setter
    def prob(self, value: float) -> None:
        self._probability.level = value

    def attach(self, trainer: Engine) -> None:
        """Takes the iteration, which the seeds depend on, from this trainer.

        Raises:
            RuntimeError: an evaluator, whose data must stay real, or a second trainer.
        """
        if isinstance(trainer, Evaluator):
            raise RuntimeError("GenerativePrepareBatch was attached to an evaluator, allowed: trainers.")
        if self._trainer is not None:
            raise RuntimeError("GenerativePrepareBatch is attached already, make one for each trainer.")
        self._trainer = trainer
        trainer.add_event_handler(Events.ITERATION_STARTED, self._start)

    def __call__(
        self,
        batchdata: dict[str, Tensor],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Returns image and label of the batch, moved to ``device``, some items replaced.

        Raises:
            RuntimeError: not called by the trainer that it is attached to, once per iteration.
            KeyError, ValueError, TypeError: a batch that doesn't fit the generator.
        """
        if self._trainer is None or self._iteration is None:
            raise RuntimeError(
                "GenerativePrepareBatch must be attached to the trainer that calls it, prepare.attach(trainer), and "
                "used by no evaluator."
            )
        iteration, self._iteration = self._iteration, None
        if not isinstance(batchdata, Mapping):
            raise TypeError(f"the batch is a {type(batchdata).__name__}, allowed: a dictionary with {self.keys}.")
        batch = self._replaced(dict(batchdata), iteration, device, non_blocking)
        self._trainer.state.batch = batch
        return default_prepare_batch(batch, device, non_blocking, **kwargs)

    def _start(self, trainer: Engine) -> None:
        self._iteration = trainer.state.iteration

    def _replaced(self, batch: dict[Any, Any], iteration: int, device: Any, non_blocking: bool) -> dict[Any, Any]:
        keys = _present(self.keys, batch, self.allow_missing_keys)
        if not keys:
            return batch
        self._move_generator(device)
        for key in keys:
            batch[key] = batch[key].to(device=device, non_blocking=non_blocking)
        count = len(batch[keys[0]])
        labels = _item_label(batch, self.class_key)
        labels = [None] * count if labels is None else list(labels)
        tensors = self._synthesis.read(batch, keys, batched=True)
        chosen, seeds, classes = self._choose(iteration, labels)
        if chosen:
            rows = {key: tensor.as_subclass(Tensor)[chosen] for key, tensor in tensors.items()}
            items = [{key: rows[key][n] for key in keys} for n in range(len(chosen))]
            made = self._synthesis.make(items, seeds, classes)
            batch.update({key: _with_rows(batch[key], chosen, [sample[key] for sample in made]) for key in keys})
        if self.synthetic_key is not None:
            came = list(batch.get(self.synthetic_key, [False] * count))
            batch[self.synthetic_key] = torch.tensor([row in chosen or bool(flag) for row, flag in enumerate(came)])
        return batch

    def _choose(self, iteration: int, labels: list[Any]) -> tuple[list[int], list[int], list[int] | None]:
        """Positions to replace, their seeds and classes."""
        chosen: list[int] = []
        seeds: list[int] = []
        classes: list[int] = []
        for row, label in enumerate(labels):
            key = (self.seed, iteration, current_rank(), row)
            coin = float(uniform([derive_seed("GenerativePrepareBatch.coin", *key)], 1))
            class_id = self._synthesis.class_id(label, lenient=self._probability.per_class)
            if coin < self._probability.of(label):
                chosen.append(row)
                seeds.append(derive_seed("GenerativePrepareBatch.sample", *key))
                if class_id is not None:
                    classes.append(class_id)
        return chosen, seeds, classes or None

    def _move_generator(self, device: Any) -> None:
        if device is None or isinstance(self._source, SampleGenerator):
            return
        if torch.device(device) != self._synthesis.generator.device:
            self._synthesis.generator = load_generator(self._source, device=device)


def _with_rows(batch: Tensor, rows: list[int], values: list[Tensor]) -> Tensor:
    """A copy of ``batch (n, C, *spatial)`` with some rows replaced; meta data stay the batch's."""
    result = batch.clone()
    plain = result.as_subclass(Tensor)
    plain[rows] = torch.stack([value.as_subclass(Tensor) for value in values])
    return result
