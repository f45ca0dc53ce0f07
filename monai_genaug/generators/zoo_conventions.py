# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Recognises how a bundle makes samples from the conventions of the MONAI model zoo."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

from torch import nn

from monai_genaug.generators.base import SampleGenerator
from monai_genaug.generators.zoo_config import EvaluatedConfig
from monai_genaug.generators.zoo_files import DOCS_PAGE

__all__ = ["find_conditions", "find_counts", "find_setup", "recognise"]

ADDED_NOISE = "genaug_noise"
"""Id of the noise where the bundle's config has no item that is the noise of a batch."""

_SAMPLE_IDS = ("sample", "samples", "generated_image", "generated_images", "generated", "synthetic", "sample_fn")
_INFERER_IDS = ("inferer", "sampler", "ldm_sampler", "diffusion_sampler", "diffusion_inferer")
_NOISE_IDS = ("noise", "input_noise", "initial_noise", "latent_noise", "latent", "latents", "z", "x_T")
_GENERATOR_IDS = ("network", "network_def", "generator", "generator_def", "gen_net", "gnetwork", "g_network", "netG")
_DATASET_IDS = ("dataset", "latent_dataset", "latents_dataset", "data")
_SHAPE_IDS = ("latent_shape", "noise_shape", "latent_size", "latent_dim", "z_dim", "noise_dim")
_COUNT_IDS = ("batch_size", "num_samples", "n_samples", "num_images", "number_of_samples", "num_output_samples")
_DRAWS = re.compile(r"\b(torch\.(randn|rand)|np\.random|numpy\.random)\b")
_SETS_UP = re.compile(
    r"load_state_dict\(|load_old_state_dict\(|torch\.load\(|copy_model_state\(|\.set_timesteps\(|load_strict\("
)
_NO_GENERATOR = re.compile("discriminator|critic|loss|metric", re.IGNORECASE)
_ROLES = {
    "noise": re.compile("noise|latent|^x$|^z$"),
    "autoencoder": re.compile("autoencoder|vae|stage_?1|first_stage|decoder"),
    "scheduler": re.compile("scheduler"),
    "conditioning": re.compile("^(conditioning|condition|context|cond)$"),
    "scale_factor": re.compile("^scale_factor$"),
    "diffusion": re.compile("diffusion|unet|denoiser|network|model"),
}


def recognise(config: EvaluatedConfig, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe of a bundle that follows the conventions.

    In this order: a function ``sampler``; an item that is the sample; an inferer with its networks; a network that
    reads a latent code.

    Args:
        config: of the bundle; the classes that its targets name are looked up, few items are evaluated.
        metadata: of the bundle.

    Raises:
        ValueError: none of them; the text says what there is and what a recipe needs.
    """
    recipe = _sampler(config) or _expression(config) or _diffusion(config, metadata) or _adversarial(config, metadata)
    if recipe is None:
        roles = {role: id_ for role, id_ in _networks(config).items() if id_ is not None}
        top = [id_ for id_ in config.ids() if id_ and "::" not in id_]
        raise ValueError(
            f"it is not clear how this bundle makes a sample. Its config has the items {top}, of which networks are "
            f"{roles}. Give a recipe, at least {{'sample': '$@network(@noise)', 'noise': {{'id': 'noise', "
            f"'distribution': 'normal', 'shape': [64]}}}} with the ids of this bundle, see {DOCS_PAGE}."
        )
    return recipe


def find_conditions(config: EvaluatedConfig, sample: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers that condition a sample, with their range, where the metadata describe them as a table."""
    inputs = (metadata.get("network_data_format") or {}).get("inputs") or {}
    ranges = [i.get("value_range") for i in inputs.values() if i.get("type") == "tabular"]
    if not ranges or not ranges[0]:
        return {}
    needed = config.requirements(sample)
    sources = [id_ for id_ in needed if _ROLES["conditioning"].search(id_)]
    return {
        id_: list(ranges[0])
        for id_ in config.ids()
        if isinstance(config.raw(id_), (int, float)) and not isinstance(config.raw(id_), bool) and "::" not in id_
        and any(id_ in config.requirements(source) for source in sources)
    }  # fmt: skip


def find_counts(config: EvaluatedConfig) -> dict[str, int]:
    """How many samples the config draws at once, as an override to one."""
    counts = {id_: config.raw(id_) for id_ in _COUNT_IDS if id_ in config}
    return {id_: 1 for id_, count in counts.items() if isinstance(count, int) and not isinstance(count, bool)}


def find_setup(config: EvaluatedConfig, sample: str) -> list[str]:
    """Ids of the expressions that load weights into what a sample needs, or set its number of steps."""
    needed = {id_ for id_ in config.requirements(sample) if id_ and config.target(id_) is not None}
    return [
        id_
        for id_ in config.ids()
        if isinstance(config.raw(id_), str)
        and config.raw(id_).startswith("$")
        and _SETS_UP.search(config.raw(id_))
        and needed & config.requirements(id_)
        and not any("Evaluator" in str(config.raw(part)) for part in config.requirements(id_))
    ]


def _expression(config: EvaluatedConfig) -> dict[str, Any] | None:
    """An item of the config that is the sample, or a function from the noise to it."""
    for id_ in _SAMPLE_IDS:
        raw = config.raw(id_)
        if (isinstance(raw, str) and raw.startswith(("$", "@"))) or config.target(id_) is not None:
            is_function = isinstance(raw, str) and raw.lstrip("$ ").startswith("lambda")
            return {"sample": id_, "noise": _noise(config, None if is_function else id_)}
    return None


def _sampler(config: EvaluatedConfig) -> dict[str, Any] | None:
    """A generator of this package, or an object that is called, under the id ``sampler``."""
    target, raw = config.target("sampler"), config.raw("sampler")
    if isinstance(target, type):
        is_called = any("__call__" in vars(base) for base in target.__mro__)
        is_one = issubclass(target, SampleGenerator) or (is_called and not _is_module(target))
    else:
        is_one = isinstance(raw, str) and raw.startswith("$")
    return {"sample": "sampler", "noise": _noise(config, None)} if is_one else None


def _diffusion(config: EvaluatedConfig, metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """``inferer.sample(noise, ...)`` of MONAI's inferers, or ``sampling_fn`` of the scripts of the model zoo."""
    roles = _networks(config)
    if roles["scheduler"] is None or roles["diffusion"] is None:
        return None
    noise = _noise(config, None) or _noise_of_shape(config, metadata)
    if noise is None:
        return None
    roles["noise"] = noise["id"]
    for id_ in _INFERER_IDS:
        for method in ("sampling_fn", "sample"):
            function = getattr(config.target(id_), method, None)
            if function is not None:
                arguments = _arguments(function, roles)
                return None if arguments is None else {"sample": f"$@{id_}.{method}({arguments})", "noise": noise}
    return {"sample": _with_monai_inferer(roles), "noise": noise}


def _with_monai_inferer(roles: Mapping[str, str | None]) -> str:
    arguments = f"input_noise=@{roles['noise']}, diffusion_model=@{roles['diffusion']}, verbose=False"
    if roles["conditioning"] is not None:
        arguments += f", conditioning=@{roles['conditioning']}"
    if roles["autoencoder"] is None:
        return f"$monai.inferers.DiffusionInferer(@{roles['scheduler']}).sample({arguments})"
    scale = "1.0" if roles["scale_factor"] is None else f"@{roles['scale_factor']}"
    inferer = f"monai.inferers.LatentDiffusionInferer(@{roles['scheduler']}, scale_factor={scale})"
    return f"${inferer}.sample({arguments}, autoencoder_model=@{roles['autoencoder']})"


def _adversarial(config: EvaluatedConfig, metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """A network that reads a latent code, and the transforms that its output goes through."""
    network = next((id_ for id_ in _GENERATOR_IDS if _can_be_network(config, id_)), None)
    if network is None:
        candidates = [id_ for id_ in config.ids() if "::" not in id_ and _is_module(config.target(id_))]
        candidates = [id_ for id_ in candidates if not _NO_GENERATOR.search(f"{id_} {config.target(id_)}")]
        network = candidates[0] if len(candidates) == 1 else None
    noise = _noise(config, None) or _noise_of_dataset(config) or _noise_of_shape(config, metadata)
    if network is None or noise is None:
        return None
    batch = f"@{noise['id']}"
    if "evaluator::prepare_batch" in config and config.raw("evaluator::prepare_batch"):
        given = f"{{'image': {batch}}}" if _holds_dictionaries(config, noise) else batch
        batch = f"@evaluator::prepare_batch({given}, @device, False)[0]"
    sample = f"$@{network}({batch})"
    inferer = config.target("inferer")
    if inferer is not None and not inferer.__module__.startswith("monai."):
        sample = f"$@inferer({batch}, @{network})"
    after = next((id_ for id_ in ("postprocessing", "post_transforms", "evaluator::postprocessing")
                  if config.target(id_) is not None), None)  # fmt: skip
    return {"sample": sample, "noise": noise, "postprocessing": after}


def _networks(config: EvaluatedConfig) -> dict[str, str | None]:
    """Role -> id, by what the classes can do, else by the ids."""
    roles: dict[str, str | None] = dict.fromkeys(_ROLES)
    for id_ in config.ids():
        target = config.target(id_) if "::" not in id_ else None
        if target is None or _NO_GENERATOR.search(f"{id_} {target}"):
            continue
        if callable(getattr(target, "set_timesteps", None)) or callable(getattr(target, "add_noise", None)):
            role = "scheduler"
        elif not _is_module(target):
            continue
        elif hasattr(target, "decode_stage_2_outputs") or _ROLES["autoencoder"].search(id_):
            role = "autoencoder"
        elif "timesteps" in _parameter_names(getattr(target, "forward", None)):
            role = "diffusion"
        else:
            continue
        roles[role] = roles[role] or id_
    for role in ("scheduler", "autoencoder", "diffusion", "conditioning", "scale_factor"):
        if roles[role] is None and role in config:
            roles[role] = role
    return roles


def _arguments(function: Any, roles: Mapping[str, str | None]) -> str | None:
    """Arguments by the names of the parameters; None where one that is needed has no role."""
    words = []
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None
    for parameter in parameters[1:]:  # the first is the object itself
        role = next((role for role, pattern in _ROLES.items() if pattern.search(parameter.name)), None)
        if parameter.name == "verbose":
            words.append("verbose=False")
        elif role is not None and roles[role] is not None and not isinstance(parameter.default, (bool, int)):
            words.append(f"{parameter.name}=@{roles[role]}")
        elif parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            return None
    return ", ".join(words)


def _noise(config: EvaluatedConfig, sample: str | None) -> dict[str, Any] | None:
    """An item of the config that is the noise; where ``sample`` is given, one that it refers to."""
    reachable = None if sample is None else config.requirements(sample)
    named = [id_ for id_ in _NOISE_IDS if id_ in config and _makes_something(config, id_)]
    drawing = [
        id_ for id_ in config.ids() if isinstance(config.raw(id_), str) and "::" not in id_
        and config.raw(id_).startswith("$") and _DRAWS.search(config.raw(id_))
        and id_ not in (*_SAMPLE_IDS, "sampler") and "lambda" not in config.raw(id_)
    ]  # fmt: skip
    for id_ in (*named, *drawing):
        if reachable is None or id_ in reachable:
            if isinstance(config.raw(id_), str) and " for " in config.raw(id_):  # a list of the noise of samples
                return {"id": ADDED_NOISE, "like": id_} if sample is None else None
            return {"id": id_}
    return None


def _noise_of_dataset(config: EvaluatedConfig) -> dict[str, Any] | None:
    found = next((id_ for id_ in _DATASET_IDS if config.raw(id_) and _makes_something(config, id_)), None)
    return None if found is None else {"id": ADDED_NOISE, "like": found}


def _noise_of_shape(config: EvaluatedConfig, metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """Normal noise of a shape that the config or the metadata tell; uniform where they say so."""
    inputs = (metadata.get("network_data_format") or {}).get("inputs") or {}
    described: Mapping[str, Any] = next(
        (i for i in inputs.values() if {i.get("format"), i.get("type")} & {"latent", "noise"}), {}
    )
    channels, spatial = described.get("num_channels") or 0, described.get("spatial_shape")
    shape = [*([channels] if channels else []), *(spatial or [])]
    for id_ in _SHAPE_IDS:
        if id_ in config:
            value = config.once(id_)
            shape = [value] if isinstance(value, int) else list(value)
            break
    if not shape or not all(isinstance(size, int) and size > 0 for size in shape):
        return None
    is_uniform = described.get("format") == "latent" and list(described.get("value_range") or ()) == [0, 1]
    return {"id": ADDED_NOISE, "distribution": "uniform" if is_uniform else "normal", "shape": shape}


def _holds_dictionaries(config: EvaluatedConfig, noise: Mapping[str, Any]) -> bool:
    if "like" not in noise:
        return False
    data = config.once(noise["like"])
    return isinstance(next(iter(data), None), Mapping)


def _can_be_network(config: EvaluatedConfig, id_: str) -> bool:
    raw, target = config.raw(id_), config.target(id_)
    if any(
        "timesteps" in _parameter_names(getattr(config.target(r), "forward", None)) for r in config.requirements(id_)
    ):
        return False
    return _is_module(target) or (target is None and isinstance(raw, str) and raw.startswith(("$", "@")))


def _makes_something(config: EvaluatedConfig, id_: str) -> bool:
    raw = config.raw(id_)
    return config.target(id_) is not None or (isinstance(raw, str) and raw.startswith(("$", "@")))


def _is_module(target: Any) -> bool:
    return isinstance(target, type) and issubclass(target, nn.Module)


def _parameter_names(function: Any) -> set[str]:
    try:
        return set(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return set()
