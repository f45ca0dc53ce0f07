# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Makes a new bundle of one with a manifold: its centroids stand for several subjects each.

``python -m monai_genaug.experiments.compress_bundle <name or folder> --dataset-dir <data> --out <folder>``

``configs/train.json`` of the new bundle asks for the same, so that a training ends where this command does.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from monai_genaug.experiments.bundle_quality import dataset_folder
from monai_genaug.experiments.real_parts import LabelledImages, load_real_parts
from monai_genaug.generators import VAEGenerator, load_generator
from monai_genaug.generators.bundle_export import export_bundle
from monai_genaug.generators.bundle_reference import CONFIG_FILE
from monai_genaug.generators.loading import bundle_path
from monai_genaug.quality.centroid_compression import compress_network

__all__ = ["compress_bundle"]

_EXPORT = "monai_genaug.handlers.BundleExport"


def compress(
    bundle: Annotated[str, typer.Argument(help="name or folder of a bundle with a manifold")],
    dataset_dir: Annotated[Path, typer.Option(help="the data set that it was trained on, or a folder of data sets")],
    out: Annotated[Path, typer.Option(help="the new bundle; must not exist")],
    version: Annotated[str, typer.Option(help="of the new bundle")],
    min_subjects: Annotated[int, typer.Option(help="training subjects of each centroid, at least")] = 5,
    width: Annotated[float | None, typer.Option(help="temperature in units of the clusters' width")] = None,
    work_dir: Annotated[Path, typer.Option(help="keeps the preprocessed images")] = Path("runs/compress_bundle"),
) -> None:
    """Writes the new bundle. Its card still has the figures of the old one: measure it before it is shipped."""
    generator = load_generator(bundle)
    folder = bundle_path(bundle)
    parts = load_real_parts(generator, folder, dataset_folder(generator.spec, dataset_dir), work_dir)
    typer.echo(f"Bundle: {compress_bundle(folder, out, version, parts.train, min_subjects, width)}")


def compress_bundle(
    folder: Path, out: Path, version: str, train: LabelledImages, min_subjects: int = 5, width: float | None = None
) -> Path:
    """Makes the new bundle.

    Args:
        folder: the bundle, which stays as it is.
        out: the new one.
        version: of the new one.
        train: its training part, in the order of the training.
        min_subjects, width: see :func:`~monai_genaug.quality.compress_centroids`.

    Returns:
        The new folder.

    Raises:
        FileExistsError: the new folder exists.
        ValueError: a bundle without a manifold, or another number of training items than it was trained on.
    """
    generator = load_generator(folder)
    known = () if generator.spec.provenance is None else generator.spec.provenance.item_hashes
    if not isinstance(generator, VAEGenerator) or len(train) != len(known):
        raise ValueError(f"{folder} was trained on {len(known)} items, {len(train)} are given.")
    classes = None if generator.spec.classes is None or train.labels is None else train.labels.tolist()
    network = compress_network(generator.network, min_subjects, train.subjects, classes, width)
    arguments = {
        name: value
        for name, value in json.loads((folder / CONFIG_FILE).read_text())["network"].items()
        if name != "_target_"
    }
    made = export_bundle(network, arguments, generator.spec.replace(version=version), folder, out)
    note = f"centroids of the manifold stand for at least {min_subjects} training subjects each"
    for name, change in (
        ("train.json", lambda config: _with_recipe(config, min_subjects, width)),
        ("metadata.json", lambda metadata: _with_version(metadata, version, note)),
    ):
        _replace(made / "configs" / name, change)
    return made


def _with_recipe(config: dict[str, Any], min_subjects: int, width: float | None) -> dict[str, Any]:
    settings = {"min_subjects": min_subjects, "centroid_width": width}
    references = {name: f"@{name}" for name in settings}
    handlers = [{**one, **references} if _is_export(one) else one for one in config.get("handlers", [])]
    return {**config, **settings, "handlers": handlers}


def _is_export(handler: Any) -> bool:
    return isinstance(handler, dict) and handler.get("_target_") == _EXPORT


def _with_version(metadata: dict[str, Any], version: str, note: str) -> dict[str, Any]:
    return {**metadata, "version": version, "changelog": {version: note, **metadata["changelog"]}}


def _replace(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Writes what a change makes of a config, if it makes something else."""
    if path.is_file():
        before = json.loads(path.read_text())
        after = change(before)
        if after != before:
            path.write_text(json.dumps(after, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(compress)
