# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A third-party bundle, built and loaded in this process: makes samples from seeds."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.transforms import MapTransform
from torch import Tensor

from monai_genaug.generators.base import SampleGenerator, Samples
from monai_genaug.generators.bundle_recipe import BundleRecipe
from monai_genaug.generators.global_random_state import own_random_state
from monai_genaug.generators.seeding import derive_seed
from monai_genaug.generators.zoo_config import EvaluatedConfig, global_state
from monai_genaug.generators.zoo_files import BundleFiles
from monai_genaug.generators.zoo_modules import BundleModules
from monai_genaug.generators.zoo_noise import BundleNoise
from monai_genaug.generators.zoo_outputs import as_tensor, joined, outputs_of
from monai_genaug.generators.zoo_schedules import Schedules
from monai_genaug.generators.zoo_weights import load_from_file, matching_file
from monai_genaug.generators.zoo_written_files import read_written
from monai_genaug.latent.draws import uniform
from monai_genaug.weights import MissingWeightsError

__all__ = ["BundleSampler"]

CONDITION_STREAM = 2**32 + 12
_SAMPLE = "genaug_sample"
_SPEC = "genaug_spec_"
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

    @property
    def spec_fields(self) -> dict[str, Any]:
        """``spec`` of the recipe, with the values of its expressions."""
        return self._spec_fields

    def sample(self, seeds: Sequence[int], classes: Sequence[int] | None) -> Samples:
        """One sample per seed: output -> ``(len(seeds), channels, *spatial)``, float32, neither clipped nor checked."""
        with self._modules.active(), torch.no_grad():
            if self.in_batches and len(seeds) > 1:
                made, has_drawn = self._run(seeds, None)
                if not has_drawn:
                    return made
                self.in_batches = False
            numbers = [None] * len(seeds) if classes is None else classes
            return joined([self._run([s], k)[0] for s, k in zip(seeds, numbers, strict=True)])

    def probe(self) -> Samples:
        """A sample of the right shape, made with one step where a scheduler has many.

        Small samples are made several times, to see that they depend on the seed and on nothing else, and whether a
        batch gives the same.

        Raises:
            ValueError: the sample is the same for every seed, or differs between two calls with one seed.
        """
        label = None if self._recipe.classes is None else next(iter(self._recipe.classes))
        with self._modules.active(), torch.no_grad(), self._schedules.one_step():
            first, _ = self._run([1], label)
            if first["image"].numel() > _PROBED_ELEMENTS:
                return first
            second, _ = self._run([2], label)
            again, has_drawn = self._run([1], label)
            if not all(torch.allclose(made, again[name], atol=1e-5) for name, made in first.items()):
                raise ValueError("two calls with one seed differ: the bundle keeps a state that the recipe must set.")
            if all(torch.equal(made, second[name]) for name, made in first.items()):
                raise ValueError("two seeds give the same sample: name the noise of the bundle in the recipe.")
            if not has_drawn and self._can_batch():
                self.in_batches = self._agrees(joined([first, second]))
        return first

    def _can_batch(self) -> bool:
        recipe = self._recipe
        is_plain = not recipe.conditions and recipe.classes is None and not (recipe.output_dir or recipe.seed_id)
        return is_plain and self._noise is not None and self._noise.is_known() and self._noise.has_batch_axis

    def _agrees(self, expected: Samples) -> bool:
        try:
            made, has_drawn = self._run([1, 2], None)
        except (RuntimeError, ValueError, IndexError):  # the bundle makes one sample at a time
            return False
        return not has_drawn and all(_is_close(made[name], values) for name, values in expected.items())

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
        self._schedules = Schedules(config.resolved())
        said = {key: _SPEC + key for key, value in recipe.spec.items() if _SPEC + key in config}
        self._spec_fields = {**recipe.spec, **{key: config.once(id_) for key, id_ in said.items()}}

    def _evaluate_configs(self) -> list[str]:
        """Reads the configs, with the items that the recipe adds; returns the ids of its setup.

        Raises:
            ValueError: the recipe names an item that is not there.
        """
        recipe = self._recipe
        texts = {_SAMPLE: recipe.sample, **{f"genaug_setup_{i}": text for i, text in enumerate(recipe.setup)}}
        of_spec = {_SPEC + key: text for key, text in recipe.spec.items() if isinstance(text, str)}
        added = {id_: text for id_, text in (texts | of_spec).items() if text.startswith("$")}
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
        return [*noise, *recipe.conditions, *filter(None, (recipe.class_id, recipe.seed_id, recipe.output_dir))]

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

    def _run(self, seeds: Sequence[int], label: int | None) -> tuple[Samples, bool]:
        """One call of the bundle, and whether it drew from the global random state."""
        with own_random_state(seeds[0], self._device):
            self._schedules.reset()
            self._config.seed_sources(seeds[0])
            given = self._given(seeds, label)
            before = global_state(self._device)
            made = self._written(seeds, label, given) if self._recipe.output_dir else self._made(seeds, label, given)
            has_drawn = global_state(self._device) != before
            return {**made, "image": self._postprocessed(made["image"])}, has_drawn

    def _made(self, seeds: Sequence[int], label: int | None, given: Mapping[str, Any]) -> Samples:
        value = self._config.value(self._sample_id, given)
        made = self._called(value, seeds, label, given)
        return outputs_of(made, self._recipe.outputs, len(seeds), self._dims)

    def _written(self, seeds: Sequence[int], label: int | None, given: Mapping[str, Any]) -> Samples:
        """What the bundle writes into a folder that is deleted then."""
        recipe = self._recipe
        with tempfile.TemporaryDirectory(prefix="monai_genaug_") as folder:
            given = {**given, str(recipe.output_dir): folder}
            value = self._config.value(self._sample_id, given)
            made = self._called(value, seeds, label, given)
            volumes = read_written(made, recipe.outputs, Path(folder), self._spec_fields.get("orientation"))
        return outputs_of(volumes, {name: name for name in volumes}, len(seeds), self._dims)

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
        if self._recipe.seed_id is not None:
            given[self._recipe.seed_id] = derive_seed(self._recipe.seed_id, seeds[0]) % 2**32
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

    def _postprocessed(self, batch: Tensor) -> Tensor:
        if self._recipe.postprocessing is None:
            return batch
        transform = self._config.once(self._recipe.postprocessing)
        is_by_key = any(isinstance(part, MapTransform) for part in getattr(transform, "transforms", [transform]))
        items = [transform({"pred": item, "image": item})["pred"] if is_by_key else transform(item) for item in batch]
        return torch.stack([as_tensor(item) for item in items])


def _spatial_dims(config: EvaluatedConfig, id_: str) -> Any:
    return config.once(id_) if id_.rpartition("::")[2] == "spatial_dims" else None


def _is_close(made: Tensor, expected: Tensor) -> bool:
    scale = (expected.max() - expected.min()).item()
    return made.shape == expected.shape and bool((made - expected).abs().max() <= 1e-5 * scale)
