# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What a third-party bundle makes, from its metadata, its recipe and a sample of the right shape."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from monai_genaug.generators.bundle_recipe import BundleRecipe
from monai_genaug.generators.spec import GeneratorSpec, OutputSpec, Provenance
from monai_genaug.generators.zoo_files import BundleFiles

__all__ = ["spec_of_bundle"]

_LICENCES = (
    ("Apache-2.0", "Apache License"),
    ("MIT", "MIT License"),
    ("BSD-3-Clause", "BSD 3-Clause"),
    ("CC-BY-NC-SA-4.0", "Attribution-NonCommercial-ShareAlike 4.0"),
    ("CC-BY-NC-4.0", "Attribution-NonCommercial 4.0"),
    ("CC-BY-SA-4.0", "Attribution-ShareAlike 4.0"),
    ("CC-BY-4.0", "Attribution 4.0"),
)
"""SPDX identifier and the words that its text begins with; the first that is found counts."""

_ONE_PER_CALL = "Samples are made one seed per call, so that a batch takes as long as its samples one by one."


def spec_of_bundle(
    files: BundleFiles, recipe: BundleRecipe, shapes: Mapping[str, tuple[int, ...]], in_batches: bool
) -> GeneratorSpec:
    """The spec of a bundle's generator.

    Args:
        files: of the bundle.
        recipe: how samples are made, without expressions in its ``spec``.
        shapes: output -> ``(channels, *spatial)`` of a sample.
        in_batches: whether the bundle makes several samples in one call.

    Raises:
        ValueError: a field of the recipe's ``spec`` that is not allowed.
    """
    metadata = files.metadata()
    channels, *spatial = shapes["image"]
    spatial_shape = tuple(spatial)
    declared = _declared_output(metadata, channels, spatial_shape)
    warnings = [] if in_batches else [_ONE_PER_CALL]
    value_range = recipe.spec.get("value_range") or _range(declared)
    if value_range is None:
        value_range = (0.0, 1.0)
        warnings.append("The bundle does not say its value range; [0, 1] is assumed and values are clipped to it.")
    if intended := str(metadata.get("intended_use") or "").strip():
        warnings.append(f"Intended use, in the words of the bundle: {intended}")
    if recipe.conditions:
        ranges = ", ".join(f"{key} {value.plain()}" for key, value in recipe.conditions.items())
        warnings.append(f"Conditions are drawn per seed: {ranges}.")
    fields: dict[str, Any] = {
        "name": files.folder.name,
        "outputs": {"image": OutputSpec("image", channels, (float(value_range[0]), float(value_range[1])), "float32")},
        "spatial_shape": spatial_shape,
        "version": str(metadata.get("version") or "0.0.0"),
        "sha256": _identity(files, recipe),
        "modality": str(declared.get("modality") or ""),
        "classes": recipe.classes,
        "fitting": "resize" if len(spatial_shape) == 2 else "pad_or_crop",
        "reproducible_batches": in_batches,
        "weights_licence": _licence(files, ("LICENSE", "docs/license.txt")),
        "data_licence": _licence(files, ("docs/data_license.txt",)),
        "warnings": warnings,
        "provenance": Provenance(str(metadata.get("data_source") or "")),
    }
    if "mask" in shapes:
        fields["outputs"]["mask"] = _mask(shapes["mask"][0], recipe.spec["mask_classes"])
    own = {key: value for key, value in recipe.spec.items() if key not in ("value_range", "mask_classes")}
    if len(own.get("spacing") or spatial_shape) != len(spatial_shape):
        del own["spacing"]
    own["warnings"] = [*fields["warnings"], *own.get("warnings", [])]
    plain = {**GeneratorSpec(**fields).to_dict(), **own}
    return GeneratorSpec.from_dict(plain)


def _mask(channels: int, names: Any) -> OutputSpec:
    if not isinstance(names, (list, tuple)) or not 2 <= len(names) <= 256:
        raise ValueError(f"spec.mask_classes is {names!r}, allowed: 2 to 256 names, the background first.")
    return OutputSpec("mask", channels, (0, len(names) - 1), "uint8", tuple(str(name) for name in names))


def _identity(files: BundleFiles, recipe: BundleRecipe) -> str:
    """A hash of all that decides the samples: weights, configs, scripts, recipe."""
    text = json.dumps([files.weights_sha256(), files.code_sha256(), recipe.to_dict()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _declared_output(metadata: Mapping[str, Any], channels: int, spatial_shape: tuple[int, ...]) -> Mapping[str, Any]:
    """What the metadata say about the output that has the sample's shape, or else about an image."""
    outputs = [output for output in _outputs(metadata) if isinstance(output, Mapping)]
    for output in outputs:
        if list(output.get("spatial_shape") or ()) == list(spatial_shape) and output.get("num_channels") == channels:
            return output
    images = [output for output in outputs if output.get("type") == "image" or output.get("modality")]
    return images[0] if images else {}


def _outputs(metadata: Mapping[str, Any]) -> Iterator[Any]:
    """Described outputs: those after postprocessing first, those of the main network last."""
    formats = [key for key in metadata if key.endswith("_data_format") and key != "network_data_format"]
    for key in ("post_processed_outputs", *formats, "network_data_format"):
        part = metadata.get(key)
        if isinstance(part, Mapping):
            outputs = part.get("outputs", part)
            yield from outputs.values() if isinstance(outputs, Mapping) else ()


def _range(declared: Mapping[str, Any]) -> tuple[float, float] | None:
    values = declared.get("value_range")
    if isinstance(values, (list, tuple)) and len(values) == 2 and all(isinstance(v, (int, float)) for v in values):
        return (float(values[0]), float(values[1])) if values[0] < values[1] else None
    return None


def _licence(files: BundleFiles, names: tuple[str, ...]) -> str:
    """The SPDX identifier of the first licence file that is known, else an empty text."""
    for name in names:
        path = files.folder / name
        text = path.read_text(encoding="utf-8", errors="replace")[:4000] if path.is_file() else ""
        for identifier, words in _LICENCES:
            if words.lower() in text.lower():
                return identifier
    return ""
