# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A MONAI bundle that somebody else made, as a generator."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from monai_genaug.generators.base import SampleGenerator, Samples
from monai_genaug.generators.bundle_recipe import BundleRecipe, merge_recipes, read_recipe, shipped_recipe
from monai_genaug.generators.global_random_state import own_random_state
from monai_genaug.generators.lazy_loading import refuse_gpu_after_fork
from monai_genaug.generators.process_lock import GLOBAL_STATE
from monai_genaug.generators.spec import GeneratorSpec, OutputSpec
from monai_genaug.generators.zoo_config import EvaluatedConfig
from monai_genaug.generators.zoo_conventions import find_conditions, find_counts, find_setup, recognise
from monai_genaug.generators.zoo_files import DOCS_PAGE, BundleFiles
from monai_genaug.generators.zoo_modules import BundleModules
from monai_genaug.generators.zoo_sampler import BundleSampler
from monai_genaug.generators.zoo_spec import spec_of_bundle
from monai_genaug.weights import WeightsError

__all__ = ["MonaiBundleGenerator"]

_CLIPPED_SHARE = 0.1
_BATCH_ELEMENTS = 2**20


class MonaiBundleGenerator(SampleGenerator):
    """Samples with a bundle that follows the conventions of the MONAI model zoo, by evaluating its config.

    Evaluating a config runs code that came with the bundle, hence ``trust``. How samples are made is found from, each
    part overriding the one before it: the conventions, what this package knows about bundles of the model zoo by
    their name, and ``recipe``.

    Neither ``initialize`` nor ``run`` of the config is run, and nothing is written, but for bundles that write their
    samples: those do it into a temporary folder, which is read and deleted in the same call. Weights are read without
    running anything in them, and every tensor of every network must come from a file. Pickling carries the path and
    the hashes of configs, scripts and weights.

    Args:
        folder: of the bundle.
        device: where samples are made and returned.
        trust: whether code of the bundle may be run.
        recipe: a :class:`BundleRecipe`, a dict with some of its fields, or the path of a JSON file with them.

    Raises:
        ValueError: no ``trust`` (the text says what would be run), a bundle whose way of sampling is not clear (the
            text says what there is), or one that breaks the promises of a generator.
        WeightsError: weights that are missing or do not fit.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        device: str | torch.device = "cpu",
        trust: bool = False,
        recipe: BundleRecipe | Mapping[str, Any] | str | os.PathLike[str] | None = None,
    ) -> None:
        own = read_recipe(recipe)
        known = merge_recipes(shipped_recipe(Path(folder).absolute().name), own)
        files = BundleFiles.find(Path(folder), known.get("config_files", ()))
        if not trust:
            raise ValueError(
                f"{files.folder} is a bundle of somebody else: to sample, code that came with it must be run. With "
                f"trust=True these would be:\n{files.what_trust_would_run()}\nRead them first, see {DOCS_PAGE}."
            )
        self._files, self._code_sha256 = files, files.code_sha256()
        self._weights_sha256 = files.weights_sha256()
        device = torch.device(device)
        try:
            self._recipe = _complete_recipe(files, known, device)
            sampler = BundleSampler(files, self._recipe, device)
            probe = sampler.probe()
        except Exception as error:
            raise _explained(error, files) from error
        self._sampler: BundleSampler | None = sampler
        self.batch_size = max(1, min(self.batch_size, _BATCH_ELEMENTS // probe["image"].numel()))
        self._warned = False
        super().__init__(_spec(files, self._recipe, sampler, probe), device)

    @property
    def recipe(self) -> BundleRecipe:
        """How samples are made, complete."""
        return self._recipe

    def _generate(self, seeds: list[int], classes: list[int] | None, truncation: float) -> Samples:
        made = self._loaded().sample(seeds, classes)
        samples: Samples = {}
        for name, output in self.spec.outputs.items():
            expected = (len(seeds), output.channels, *self.spec.spatial_shape)
            if tuple(made[name].shape) != expected:
                raise ValueError(
                    f"bundle {self.spec.name!r} made {name!r} as {tuple(made[name].shape)}, its spec says {expected}."
                )
            checked = self._image if output.kind == "image" else self._mask
            samples[name] = checked(made[name], output).to(self._device)
        return samples

    def _image(self, made: Tensor, output: OutputSpec) -> Tensor:
        if not made.isfinite().all():
            raise ValueError(f"bundle {self.spec.name!r} made values that are not finite.")
        low, high = output.value_range
        slack = 0.05 * (high - low)
        clipped = ((made < low - slack) | (made > high + slack)).float().mean().item()
        if clipped > _CLIPPED_SHARE and not self._warned:
            self._warned = True
            warnings.warn(
                f"bundle {self.spec.name!r}: {clipped:.0%} of the values lie outside value_range [{low}, {high}] and "
                f"are clipped; a recipe can give another one in spec, see {DOCS_PAGE}.",
                stacklevel=3,
            )
        return made.clamp(low, high)

    def _mask(self, made: Tensor, output: OutputSpec) -> Tensor:
        low, high = output.value_range
        wrong = made[~((made == made.round()) & (made >= low) & (made <= high))]
        if wrong.numel():
            raise ValueError(
                f"bundle {self.spec.name!r} made a mask with the values {wrong.unique()[:4].tolist()}, allowed: "
                f"0 to {high:.0f}, the labels that spec.mask_classes of the recipe names, see {DOCS_PAGE}."
            )
        return made.to(getattr(torch, output.dtype))

    def _loaded(self) -> BundleSampler:
        refuse_gpu_after_fork(self._device)
        with GLOBAL_STATE.held():
            if self._sampler is None:
                self._check_unchanged(weights=True)
                sampler = BundleSampler(self._files, self._recipe, self._device)
                sampler.in_batches = self.spec.reproducible_batches
                self._sampler = sampler
        return self._sampler

    def _check_unchanged(self, weights: bool) -> None:
        """Refuses files that are not those that were trusted."""
        found = self._files.code_sha256()
        if found != self._code_sha256:
            raise ValueError(
                f"configs or scripts of {self._files.folder} have changed since they were trusted: their sha256 is "
                f"{found}, expected {self._code_sha256}. Load the bundle again with trust=True."
            )
        if weights and self._files.weights_sha256() != self._weights_sha256:
            raise ValueError(f"weights of {self._files.folder} have changed since the generator was made.")

    def __deepcopy__(self, memo: dict[int, Any]) -> MonaiBundleGenerator:
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_sampler": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._check_unchanged(weights=False)


def _complete_recipe(files: BundleFiles, known: Mapping[str, Any], device: torch.device) -> BundleRecipe:
    """The recipe that the conventions give, overridden by what is known."""
    with BundleModules(files.folder).active(), own_random_state(0, device), torch.no_grad():
        config = EvaluatedConfig(files.config(), files.folder, device, known.get("overrides"))
        metadata = files.metadata()
        found = {} if "sample" in known else recognise(config, metadata)
        merged = merge_recipes(found, known)
        sample = merged["sample"]
        if sample.startswith("$"):
            added = {**(known.get("overrides") or {}), "genaug_sample": sample}
            config = EvaluatedConfig(files.config(), files.folder, device, added)
            sample = "genaug_sample"
        conventions = {
            "overrides": find_counts(config),
            "setup": find_setup(config, sample),
            "conditions": find_conditions(config, sample, metadata),
        }
    return BundleRecipe.from_dict(merge_recipes(conventions, merged))


def _spec(files: BundleFiles, recipe: BundleRecipe, sampler: BundleSampler, probe: Samples) -> GeneratorSpec:
    """The spec of the generator whose samples are like the probe."""
    said = dataclasses.replace(recipe, spec=sampler.spec_fields)
    return spec_of_bundle(
        files, said, {name: tuple(made.shape[1:]) for name, made in probe.items()}, sampler.in_batches
    )


def _explained(error: Exception, files: BundleFiles) -> ValueError:
    """The error of a bundle's code as one that names the bundle and keeps its kind."""
    causes = [error]
    while causes[-1].__cause__ is not None and isinstance(causes[-1].__cause__, Exception):
        causes.append(causes[-1].__cause__)
    texts = list(dict.fromkeys(str(cause) for cause in causes))
    text = f"bundle {files.folder.name!r} cannot be used: {' <- '.join(texts)} (see {DOCS_PAGE})"
    kind = next((type(cause) for cause in reversed(causes) if isinstance(cause, WeightsError)), ValueError)
    return kind(text)
