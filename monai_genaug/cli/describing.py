# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""``monai-genaug info``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer
from rich.text import Text

from monai_genaug.cli.errors import usage_errors
from monai_genaug.cli.listing import is_non_commercial
from monai_genaug.cli.opening import GeneratorName, Recipe, Trust, open_generator
from monai_genaug.cli.printing import AsJson, show_table

if TYPE_CHECKING:
    from monai_genaug.generators import SampleGenerator
    from monai_genaug.generators.spec import GeneratorSpec, OutputSpec

__all__ = ["info_command"]

Row = tuple[str, str]


def info_command(name: GeneratorName, trust: Trust = False, recipe: Recipe = None, as_json: AsJson = False) -> None:
    """Show what a generator makes, where it comes from and what to know before using it."""
    with usage_errors():
        generator = open_generator(name, trust=trust, recipe=recipe)
    if as_json:
        typer.echo(generator.spec.to_json())
        return
    rows = [*_what(generator), *_how(generator.spec), *_from_where(generator.spec)]
    show_table(("", ""), [(Text(title, "bold"), text) for title, text in rows])


def _what(generator: SampleGenerator) -> Iterator[Row]:
    from monai_genaug.generators import SamplePool

    spec = generator.spec
    yield "name", f"{spec.name} {spec.version}"
    if isinstance(generator, SamplePool):
        yield "pool", f"{len(generator)} stored items"
    if spec.anatomy or spec.modality:
        yield "shows", ", ".join(text for text in (spec.anatomy, spec.modality) if text)
    for title, output in spec.outputs.items():
        yield f"makes {title}", _output(output)
    spacing = "" if spec.spacing is None else f", voxels of {' x '.join(f'{mm:g}' for mm in spec.spacing)} mm"
    orientation = "" if spec.orientation is None else f", orientation {spec.orientation}"
    yield "shape", " x ".join(map(str, spec.spatial_shape)) + spacing + orientation
    yield "classes", ", ".join(f"{number} {text}" for number, text in (spec.classes or {}).items()) or "none"


def _output(output: OutputSpec) -> str:
    channels = f"{output.channels} channel{'s' if output.channels > 1 else ''}"
    low, high = output.value_range
    if output.kind == "mask":
        labels = ", ".join(f"{number} {name}" for number, name in enumerate(output.class_names))
        return f"{channels}, {output.dtype}, labels {labels or f'{low:g} to {high:g}'}"
    levels = "" if output.levels is None else f", {output.levels} levels"
    return f"{channels}, {output.dtype}, {low:g} to {high:g}{levels}"


def _how(spec: GeneratorSpec) -> Iterator[Row]:
    yield "truncation", "any in (0, 1]" if spec.truncation else "1 only"
    modes = ", ".join(("sample", *(("reconstruct", "perturb", "edit", "interpolate") if spec.encodes else ())))
    yield "modes", modes + (f" (its encoder reads {' and '.join(spec.encodes)})" if spec.encodes else "")
    batches = (
        "any size" if spec.reproducible_batches else "one call per seed: slow; build a pool (monai-genaug generate)"
    )
    yield "batches", batches


def _from_where(spec: GeneratorSpec) -> Iterator[Row]:
    note = " (not for commercial use, which holds for samples too)" if is_non_commercial(spec) else ""
    yield "licence", f"weights {spec.weights_licence or 'not stated'}, data {spec.data_licence or 'not stated'}{note}"
    known = spec.provenance
    if known is None:
        yield "trained on", "not stated"
    else:
        items = f"{len(known.item_hashes)} items known by their hashes" if known.item_hashes else "no hashes of items"
        yield "trained on", f"{' '.join(filter(None, (known.dataset, known.dataset_version)))} ({items})"
        for name, value in known.metrics.items():
            yield name, f"{value:.4g}"
    yield "sha256", spec.sha256 or "not stated"
    for warning in spec.warnings or ("none",):
        yield "warning", warning
