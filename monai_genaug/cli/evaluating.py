# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""``monai-genaug evaluate``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from monai_genaug.cli.errors import usage_errors
from monai_genaug.cli.opening import Device, Recipe, Trust, bundle_completions, open_generator
from monai_genaug.cli.outputs import check_report_folder, write_report
from monai_genaug.cli.printing import AsJson, Force, print_json_text, show_table, wide_console

if TYPE_CHECKING:
    from monai_genaug.experiments.feature_quality import FeatureQuality
    from monai_genaug.generators import SampleGenerator

__all__ = ["evaluate_command"]

_FILES = ("evaluation.json", "evaluation.md")
_SOURCE = "a folder, list or table of items (see docs/how_to/leakage.md)"


def evaluate_command(
    real: Annotated[str, typer.Option(help=f"real images: {_SOURCE}")],
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="name of a shipped generator, or folder of a bundle or pool; not needed with --synthetic",
            autocompletion=bundle_completions,
        ),
    ] = None,
    synthetic: Annotated[str | None, typer.Option(help=f"synthetic images instead of new samples: {_SOURCE}")] = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="synthetic images; by default as many as real ones in each half")
    ] = None,
    features: Annotated[
        str, typer.Option(help="medical, random, inception, or a TorchScript file x.ts (with --trust)")
    ] = "medical",
    per_class: Annotated[bool, typer.Option("--per-class", help="also each class by itself")] = False,
    image_key: Annotated[str, typer.Option(help="of the image in lists and tables")] = "image",
    class_key: Annotated[str, typer.Option(help="of the class, its name or the generator's id")] = "label",
    subject_key: Annotated[
        str | None, typer.Option(help="of the subject; for folders a regular expression with one group")
    ] = None,
    truncation: Annotated[float, typer.Option(help="of new samples, in (0, 1]")] = 1.0,
    seed: Annotated[int, typer.Option(help="of new samples and of the halves")] = 0,
    device: Device = "cpu",
    trust: Trust = False,
    recipe: Recipe = None,
    out: Annotated[Path | None, typer.Option(help=f"folder for {' and '.join(_FILES)}")] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Compare synthetic images with real ones: Frechet, KID, precision, recall, density, coverage, Vendi.

    One half of the real images is the reference; the other half, other subjects if they are known, is what a perfect
    generator reaches. Masks are not compared.
    """
    from monai_genaug.cli.compared_images import (
        extractor_named,
        features_of_items,
        features_of_samples,
        some_places,
    )
    from monai_genaug.cli.item_lists import ItemKeys, listed_items
    from monai_genaug.experiments.feature_comparison import compare_features, real_halves

    with usage_errors():
        check_report_folder(out, _FILES, "evaluation", force)
        if name is None and synthetic is None:
            raise ValueError("needed: NAME, or --synthetic.")
        keys = ItemKeys(image_key, class_key, subject=subject_key)
        generator = None if name is None else open_generator(name, device, trust, recipe)
        sources = {"real": listed_items(real, keys)}
        if synthetic is not None:
            sources["synthetic"] = listed_items(synthetic, keys)
        extract = extractor_named(features, _dimensions(generator, sources["real"]), trust)
        found = {title: features_of_items(generator, items, title, extract) for title, items in sources.items()}
        reference, subjects = found["real"], [item.get("subject") for item in sources["real"]]
        known = None if None in subjects else list(map(str, subjects))
        halves = real_halves(len(reference), reference.classes, known, seed)
        like = reference.part(halves.others or halves.reference)
        wanted = count or len(like)
        if synthetic is None:
            assert generator is not None
            order = some_places(len(like), len(like), seed)
            classes = like.part(order).classes
            made = features_of_samples(generator, classes, wanted, truncation, seed, extract)
        else:
            made = found["synthetic"].part(some_places(len(found["synthetic"]), wanted, seed))
        quality = compare_features(reference, halves, made, extract.name, per_class)
        record: dict[str, Any] = {"generator": None, "sha256": None, "real": real, "synthetic": synthetic, "seed": seed}
        if generator is not None:
            record |= {"generator": generator.spec.name, "sha256": generator.spec.sha256, "truncation": truncation}
        if out is not None:
            _write(quality, record, out)
    if as_json:
        print_json_text({**record, **quality.to_dict()})
    else:
        _show(quality)


def _dimensions(generator: SampleGenerator | None, items: Sequence[Mapping[str, Any]]) -> int:
    """2 or 3: of the generator's images, or of the first real one."""
    from monai_genaug.cli.pictures import Pictures

    if generator is None:
        return int(Pictures(items)[0].ndim) - 1
    if all(output.kind != "image" for output in generator.spec.outputs.values()):
        raise ValueError(
            f"{generator.spec.name!r} makes no images to compare, but {', '.join(generator.spec.outputs)}."
        )
    return len(generator.spec.spatial_shape)


def _write(quality: FeatureQuality, record: Mapping[str, Any], out: Path) -> None:
    from monai_genaug.experiments.feature_comparison import comparison_section

    what = record["synthetic"] or f"samples of {record['generator']}"
    head = f"# Synthetic images beside real ones\n\nSynthetic: {what}. Real: {record['real']}.\n\n"
    texts = (json.dumps({**record, **quality.to_dict()}, indent=2), head + comparison_section(quality))
    write_report(out, dict(zip(_FILES, texts, strict=True)))


def _show(quality: FeatureQuality) -> None:
    from monai_genaug.experiments.feature_comparison import comparison_cells, comparison_titles

    show_table(comparison_titles(), map(comparison_cells, quality.rows), numbers=True)
    console = wide_console()
    console.print(f"Features: {quality.extractor}. All sets of a class are compared with the same real images.")
    if all(row.images != "real" for row in quality.rows):
        console.print("There are too few real images for a row of real ones.")
