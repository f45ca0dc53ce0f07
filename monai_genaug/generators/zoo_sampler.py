# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A third-party bundle, built and loaded in this process: makes samples from seeds."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from monai.transforms import MapTransform
from torch import Tensor, nn

from monai_genaug.generators.base import SampleGenerator
from monai_genaug.generators.bundle_recipe import BundleRecipe
from monai_genaug.generators.global_random_state import own_random_state
from monai_genaug.generators.zoo_config import EvaluatedConfig, global_state
from monai_genaug.generators.zoo_files import BundleFiles
from monai_genaug.generators.zoo_modules import BundleModules
from monai_genaug.generators.zoo_noise import BundleNoise
from monai_genaug.generators.zoo_weights import load_from_file, matching_file
from monai_genaug.latent.draws import uniform
from monai_genaug.weights import MissingWeightsError

__all__ = ["BundleSampler"]

CONDITION_STREAM = 2**32 + 12
_SAMPLE = "genaug_sample"
_COUNT_NAMES = ("n", "num", "num_samples", "n_samples", "batch_size", "num_images")
_SEED_NAMES = ("seed", "random_seed")
_LABEL_NAMES = ("label", "class_label", "class_id")
_NOISE_NAMES = ("noise", "input_noise", "latent", "latents", "z", "x")
_PROBED_ELEMENTS = 2**20


class BundleSampler:
    """Builds the networks of a trusted bundle, loads their weights strictly and samples with them.

    Args:
        files: of the bundle.
        recipe: how samples are made.
        device: where.

    Raises:
        WeightsError: weights that are missing or do not fit.
        ValueError: a recipe that does not fit the bundle.
    """

    def __init__(self, files: BundleFiles, recipe: BundleRecipe, device: torch.device) -> None:
        self._files, self._recipe, self._device = files, recipe, device
        self._modules = BundleModules(files.folder)
        self.in_batches = False
        """Whether several seeds are sampled in one call; :meth:`probe` finds out whether they can be."""
        with self._modules.active(), own_random_state(0, device), torch.no_grad():
            self._build()

    def sample(self, seeds: Sequence[int], classes: Sequence[int] | None) -> Tensor:
        """One sample per seed, ``(len(seeds), channels, *spatial)``, float32, not clipped."""
        with self._modules.active(), torch.no_grad():
            if self.in_batches and len(seeds) > 1:
                made, has_drawn = self._run(seeds, None)
                if not has_drawn:
                    return made
                self.in_batches = False
            numbers = [None] * len(seeds) if classes is None else classes
            return torch.cat([self._run([s], k)[0] for s, k in zip(seeds, numbers, strict=True)])

    def probe(self) -> Tensor:
        """A sample of the right shape, made with one step where a scheduler has many.

        Small samples are made several times, to see that they depend on the seed and on nothing else, and whether a
        batch gives the same.

        Raises:
            ValueError: the sample is the same for every seed, or differs between two calls with one seed.
        """
        label = None if self._recipe.classes is None else next(iter(self._recipe.classes))
        with self._modules.active(), torch.no_grad(), self._one_step():
            first, _ = self._run([1], label)
            if first.numel() > _PROBED_ELEMENTS:
                return first
            second, _ = self._run([2], label)
            again, has_drawn = self._run([1], label)
            if not torch.allclose(first, again, atol=1e-5):
                raise ValueError("two calls with one seed differ: the bundle keeps a state that the recipe must set.")
            if torch.equal(first, second):
                raise ValueError("two seeds give the same sample: name the noise of the bundle in the recipe.")
            if not has_drawn and self._can_batch():
                self.in_batches = self._agrees(torch.cat([first, second]))
        return first

    def _can_batch(self) -> bool:
        is_plain = not self._recipe.conditions and self._recipe.classes is None
        return is_plain and self._noise is not None and self._noise.is_known() and self._noise.has_batch_axis

    def _agrees(self, expected: Tensor) -> bool:
        try:
            made, has_drawn = self._run([1, 2], None)
        except (RuntimeError, ValueError, IndexError):  # the bundle makes one sample at a time
            return False
        scale = (expected.max() - expected.min()).item()
        return not has_drawn and made.shape == expected.shape and bool((made - expected).abs().max() <= 1e-5 * scale)

    def _build(self) -> None:
        recipe = self._recipe
        setup = self._evaluate_configs()
        config = self._config
        dims = {d for id_ in config.ids() if isinstance(d := _spatial_dims(config, id_), int)}
        self._dims = dims.pop() if len(dims) == 1 else None
        self._noise = None if recipe.noise is None else BundleNoise(recipe.noise, config, self._device)
        for id_ in setup:
            config.once(id_)
        changing = config.dependants({*self._given_ids(), self._sample_id})
        needed = config.requirements(self._sample_id) - changing
        for id_ in config.ids():
            if id_ in needed:
                config.once(id_)
        self._load_the_rest()
        config.loading.check()
        for network in config.loading.networks.values():
            network.eval().requires_grad_(False).to(self._device)
        self._schedules = {id(part): (part, _copied(part)) for part in config.resolved() if _is_scheduler(part)}

    def _evaluate_configs(self) -> list[str]:
        """Reads the configs, with the items that the recipe adds; returns the ids of its setup.

        Raises:
            ValueError: the recipe names an item that is not there.
        """
        recipe = self._recipe
        texts = {_SAMPLE: recipe.sample, **{f"genaug_setup_{i}": text for i, text in enumerate(recipe.setup)}}
        added = {id_: text for id_, text in texts.items() if text.startswith("$")}
        self._sample_id, *setup = [id_ if id_ in added else text for id_, text in texts.items()]
        given = [recipe.noise.id] if recipe.noise is not None else []
        values = self._files.config()
        virtual = {id_: None for id_ in given if "::" not in id_ and id_ not in values}
        overrides = {**virtual, **recipe.overrides, **added}
        self._config = EvaluatedConfig(values, self._files.folder, self._device, overrides)
        named = [self._sample_id, *setup, *self._given_ids(), *filter(None, [recipe.postprocessing])]
        if unknown := [id_ for id_ in named if id_ not in self._config]:
            raise ValueError(f"the recipe names {unknown}, which {list(self._files.config_files)} do not have.")
        return setup

    def _given_ids(self) -> list[str]:
        """Ids of the items that have another value in every call."""
        recipe = self._recipe
        noise = [] if recipe.noise is None else [recipe.noise.id]
        return [*noise, *recipe.conditions, *([] if recipe.class_id is None else [recipe.class_id])]

    def _load_the_rest(self) -> None:
        """Loads what no expression of the config loaded: as the recipe says, a loading handler, or by what fits."""
        loading, folder = self._config.loading, self._files.folder
        for id_, file in self._recipe.weights.items():
            load_from_file(self._config.once(id_), folder, file)
        handlers = [
            id_ for id_ in self._config.ids()
            if isinstance(raw := self._config.raw(id_), Mapping) and "CheckpointLoader" in str(raw.get("_target_"))
        ]  # fmt: skip
        for id_ in handlers:
            states = self._config.raw(id_).get("load_dict")
            for key in states if isinstance(states, Mapping) else ():
                target = self._config.once(f"{id_}::load_dict")[key]
                if any(target is part for part in loading.unloaded().values()):
                    load_from_file(target, folder, str(self._config.once(f"{id_}::load_path")))
        files = self._files.weights()
        for name, network in loading.unloaded().items():
            if not files:
                raise MissingWeightsError(
                    f"{folder} has no weights in models/ for {name!r}. If it has a large_files.yml: "
                    f"python -m monai.bundle download_large_files --bundle_path {folder}"
                )
            found = matching_file(network, folder, files)
            if found is None and "ckpt_path" in self._config:
                found = str(self._config.once("ckpt_path"))
            if found is not None:
                load_from_file(network, folder, found)

    def _run(self, seeds: Sequence[int], label: int | None) -> tuple[Tensor, bool]:
        """One call of the bundle, and whether it drew from the global random state."""
        with own_random_state(seeds[0], self._device):
            self._reset()
            self._config.seed_sources(seeds[0])
            given = self._given(seeds, label)
            before = global_state(self._device)
            value = self._config.value(self._sample_id, given)
            made = self._called(value, seeds, label, given)
            has_drawn = global_state(self._device) != before
            return self._postprocessed(_as_batch(made, len(seeds), self._dims), given), has_drawn

    def _given(self, seeds: Sequence[int], label: int | None) -> dict[str, Any]:
        given: dict[str, Any] = {}
        if self._noise is not None:
            noise = self._noise.draw(seeds) if self._noise.is_known() else self._noise.own()
            given |= {} if noise is None else {self._noise.source.id: noise}
        conditions = self._recipe.conditions
        if conditions:
            numbers = uniform(seeds[:1], len(conditions), stream=CONDITION_STREAM)[0].tolist()
            given |= {key: conditions[key].at(u) for key, u in zip(sorted(conditions), numbers, strict=True)}
        if self._recipe.class_id is not None:
            given[self._recipe.class_id] = label
        return given

    def _called(self, value: Any, seeds: Sequence[int], label: int | None, given: Mapping[str, Any]) -> Any:
        """The samples, where the config's item is a function, or a generator of this package."""
        if isinstance(value, SampleGenerator):
            return value.sample(list(seeds), label)
        if isinstance(value, (Tensor, np.ndarray, Mapping, Sequence)) or not callable(value):
            return value
        noise = None if self._noise is None else given.get(self._noise.source.id)
        if noise is None and self._noise is not None:
            noise = self._config.value(self._noise.source.id, given)
        arguments: dict[str, Any] = {}
        for parameter in inspect.signature(value).parameters.values():
            name = parameter.name
            if name in _COUNT_NAMES:
                arguments[name] = len(seeds)
            elif name in _SEED_NAMES:
                arguments[name] = seeds[0]
            elif name == "seeds":
                arguments[name] = list(seeds)
            elif label is not None and name in _LABEL_NAMES:
                arguments[name] = label
            elif parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
                if noise is None or (name not in _NOISE_NAMES and arguments):
                    raise ValueError(
                        f"{self._sample_id!r} is a function whose parameter {name!r} has no known meaning, known are "
                        f"{(*_NOISE_NAMES, *_COUNT_NAMES, *_SEED_NAMES, 'seeds', *_LABEL_NAMES)}. Give a recipe with "
                        "an expression that calls it."
                    )
                arguments[name] = noise
        return value(**arguments)

    def _postprocessed(self, batch: Tensor, given: Mapping[str, Any]) -> Tensor:
        if self._recipe.postprocessing is None:
            return batch
        transform = self._config.once(self._recipe.postprocessing)
        is_by_key = any(isinstance(part, MapTransform) for part in getattr(transform, "transforms", [transform]))
        items = [transform({"pred": item, "image": item})["pred"] if is_by_key else transform(item) for item in batch]
        return torch.stack([_as_tensor(item) for item in items])

    @contextmanager
    def _one_step(self) -> Iterator[None]:
        before = dict(self._schedules)
        try:
            for key, (part, state) in before.items():
                self._schedules[key] = (part, {**state, "timesteps": state["timesteps"][:1]})
            yield
        finally:
            self._schedules = before
            self._reset()

    def _reset(self) -> None:
        """Schedulers count their steps: every call starts with them as they were built."""
        for part, state in self._schedules.values():
            part.__dict__.update({key: _copy_of(value) for key, value in state.items()})


def _spatial_dims(config: EvaluatedConfig, id_: str) -> Any:
    return config.once(id_) if id_.rpartition("::")[2] == "spatial_dims" else None


def _is_scheduler(part: Any) -> bool:
    steps = getattr(part, "__dict__", {}).get("timesteps")
    return callable(getattr(part, "step", None)) and isinstance(steps, (Tensor, np.ndarray))


def _copied(part: Any) -> dict[str, Any]:
    """The plain values of an object: what it counts and lists, not the modules and parameters in it."""
    return {key: _copy_of(value) for key, value in vars(part).items() if not isinstance(value, (nn.Module, dict))}


def _copy_of(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else copy.copy(value)


def _as_batch(made: Any, count: int, dims: int | None) -> Tensor:
    """What a bundle returns, as ``(count, channels, *spatial)``."""
    if isinstance(made, Mapping):
        known = [made[key] for key in ("image", "pred") if key in made]
        made = known[0] if known else next(iter(made.values()), None)
    if isinstance(made, tuple) and made and isinstance(made[0], Tensor) and made[0].ndim > 2:
        made = made[0]  # the sample, and its intermediate steps
    if isinstance(made, Sequence) and not isinstance(made, str) and made:
        made = torch.stack([_as_tensor(item) for item in made])
    batch = _as_tensor(made)
    if count == 1 and batch.ndim == (3 if dims is None else dims + 1):
        batch = batch[None]
    if batch.ndim not in ((4, 5) if dims is None else (dims + 2,)):
        raise ValueError(f"the sample has shape {tuple(batch.shape)}, expected (n, channels, *spatial).")
    if count == 1:
        batch = batch[:1]  # bundles that draw several samples at once
    if batch.shape[0] != count:
        raise ValueError(f"{count} seeds gave {batch.shape[0]} samples.")
    return batch


def _as_tensor(value: Any) -> Tensor:
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(np.ascontiguousarray(value))
    if not isinstance(value, Tensor):
        raise ValueError(
            f"the sample is {type(value).__name__}, expected a tensor; bundles that write files do not do."
        )
    return value.as_subclass(Tensor).detach().to(torch.float32, copy=True)
