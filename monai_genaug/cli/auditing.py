# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""``monai-genaug audit``."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from monai_genaug._help import docs_link
from monai_genaug.cli.errors import usage_errors
from monai_genaug.cli.opening import Device, GeneratorName, Recipe, Trust, open_generator
from monai_genaug.cli.outputs import check_report_folder
from monai_genaug.cli.printing import AsJson, Force, print_json_text, show_table, wide_console

if TYPE_CHECKING:
    from monai_genaug.cli.item_lists import ItemKeys
    from monai_genaug.generators import SampleGenerator
    from monai_genaug.quality import AuditItems, AuditReport, AuditThresholds
    from monai_genaug.quality.audit import Extractor

__all__ = ["audit_command"]

_FILES = ("audit.json", "audit.md", "closest_pairs.png")
_SOURCE = "a folder, list or table of items (see the page how_to/leakage of the documentation)"

Parts = tuple["AuditItems", "AuditItems"]


def audit_command(
    name: GeneratorName,
    data: Annotated[
        Path | None,
        typer.Option(help="the data set, read and split by the bundle's training config; with --train: its root"),
    ] = None,
    train: Annotated[str | None, typer.Option(help=f"what it was trained on: {_SOURCE}")] = None,
    held_out: Annotated[str | None, typer.Option(help=f"what it was not trained on: {_SOURCE}")] = None,
    image_key: Annotated[str, typer.Option(help="of the image in lists and tables")] = "image",
    class_key: Annotated[str, typer.Option(help="of the class, its name or the generator's id")] = "label",
    mask_key: Annotated[str, typer.Option(help="of the mask, for a generator of masks")] = "label",
    subject_key: Annotated[
        str | None, typer.Option(help="of the subject; for folders a regular expression with one group")
    ] = None,
    samples: Annotated[int, typer.Option(help="synthetic samples in all")] = 500,
    extractor: Annotated[str, typer.Option(help="features: pixels, medical, random or inception")] = "pixels",
    limit: Annotated[list[str] | None, typer.Option(help="another limit, such as membership=0.1; repeatable")] = None,
    seed: Annotated[int, typer.Option(help="of samples and permutations")] = 0,
    out: Annotated[Path | None, typer.Option(help="folder for report and picture of the closest pairs")] = None,
    device: Device = "cpu",
    trust: Trust = False,
    recipe: Recipe = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Audit the privacy of a generator: do samples or weights give its training items away?

    Exit code 0: every check passes, 1: one fails, 2: wrong arguments or data. The picture in --out shows training
    items: it is as confidential as they are.
    """
    from monai_genaug.cli.item_lists import ItemKeys
    from monai_genaug.quality import audit

    with usage_errors():
        check_report_folder(out, _FILES, "audit", force)
        thresholds, features = _thresholds(limit or []), extractor
        generator = open_generator(name, device, trust, recipe)
        extract = _extractor(features, len(generator.spec.spatial_shape))
        keys = ItemKeys(image_key, class_key, mask_key, subject_key)
        known, others = _parts(generator, name, data, train, held_out, keys)
        typer.echo(f"audit of {generator.spec.name}: {samples} samples, please wait", err=True)
        report = audit(generator, known, others, samples, extract, thresholds, seed)
        if out is not None:
            _write(report, generator, known, out)
    if as_json:
        print_json_text(report.to_dict())
    else:
        _show(report)
    raise typer.Exit(report.exit_code)


def _write(report: AuditReport, generator: SampleGenerator, train: AuditItems, out: Path) -> None:
    from monai_genaug.quality import closest_pairs_picture

    report.write(out)
    picture = out / _FILES[-1]
    picture.unlink(missing_ok=True)
    if report.pairs:
        closest_pairs_picture(report, generator, train, picture)


def _thresholds(limits: Sequence[str]) -> AuditThresholds:
    from monai_genaug.quality import AuditThresholds

    names = [field.name for field in dataclasses.fields(AuditThresholds)]
    values: dict[str, float] = {}
    for text in limits:
        name, _, value = text.partition("=")
        try:
            values[name] = float(value)
        except ValueError as error:
            raise ValueError(f"limit is {text!r}, needed: a name, = and a number.") from error
        if name not in names:
            raise ValueError(f"limit {name!r} is unknown, allowed: {', '.join(names)}.")
    return AuditThresholds(**values)


def _extractor(name: str, spatial_dims: int) -> Extractor | None:
    """None for the audit's own pixels."""
    from monai_genaug.metrics import feature_extractor

    names = ("pixels", "medical", "random", "inception")
    if name not in names:
        raise ValueError(f"extractor is {name!r}, allowed: {', '.join(names)}.")
    return None if name == "pixels" else feature_extractor(name, spatial_dims)


def _parts(
    generator: SampleGenerator,
    bundle: str,
    data: Path | None,
    train: str | None,
    held_out: str | None,
    keys: ItemKeys,
) -> Parts:
    """Training items and held-out ones."""
    from monai_genaug.cli.item_lists import listed_items, preprocessed_items

    if (train is None) != (held_out is None) or (train is None and data is None):
        raise ValueError("needed: --train and --held-out together, or --data alone.")
    if train is None or held_out is None:
        assert data is not None
        return _parts_of_training(generator, bundle, data)
    lists = {name: listed_items(source, keys, data) for name, source in (("train", train), ("held-out", held_out))}
    known, others = (preprocessed_items(generator, items, name) for name, items in lists.items())
    return known, others


def _parts_of_training(generator: SampleGenerator, bundle: str, data: Path) -> Parts:
    """The parts that the bundle's training config lists; validation and test are held out."""
    from monai_genaug.experiments.bundle_privacy import audited_parts
    from monai_genaug.experiments.bundle_quality import dataset_folder
    from monai_genaug.experiments.real_parts import load_real_parts
    from monai_genaug.generators.loading import bundle_path

    folder = bundle_path(bundle)
    if not data.exists():
        raise FileNotFoundError(f"{data} does not exist.")
    with TemporaryDirectory() as work:
        try:
            parts = load_real_parts(generator, folder, dataset_folder(generator.spec, data), Path(work))
        except RuntimeError as error:  # MONAI's config parser, whatever the reason
            raise ValueError(f"the items of {folder} cannot be read: {error.__cause__ or error}") from error
    return audited_parts(parts, generator.spec)


def _show(report: AuditReport) -> None:
    from monai_genaug.experiments.bundle_privacy import BundlePrivacy
    from monai_genaug.experiments.privacy_card import CHECK_TITLES, privacy_warnings

    rows = []
    for check in report.checks:
        low, high = check.interval
        effect, interval = f"{check.effect:.3f}", f"{low:.3f} to {high:.3f}"
        verdict = Text("passes", "green") if check.passed else Text("FAILS", "bold red")
        cells = (
            CHECK_TITLES[check.name],
            check.scope,
            effect,
            interval,
            f"{check.p_value:.2g}",
            f"{check.threshold:g}",
        )
        rows.append((*cells, verdict))
    show_table(("check", "class", "effect", "95 % interval", "p", "limit", ""), rows)
    console = wide_console()
    console.print(
        f"{report.n_samples} samples, {report.n_train} training items, {report.n_held_out} held-out items; "
        f"{report.n_shared} more in both parts were left out; features {report.extractor}."
    )
    console.print(*(privacy_warnings(BundlePrivacy(report)) or ("The privacy audit passes.",)))
    if not report.ok:
        console.print(f"What to do: {docs_link('concepts/leakage_and_privacy')}", soft_wrap=True)
