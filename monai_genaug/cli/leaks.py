# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""``monai-genaug leakage`` and ``monai-genaug duplicates``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Annotated

import typer

from monai_genaug.cli.errors import usage_errors
from monai_genaug.cli.opening import GeneratorName, Recipe, Trust, open_generator
from monai_genaug.cli.printing import AsJson, print_json_text, show_table

if TYPE_CHECKING:
    from monai_genaug.quality import DuplicatePair, DuplicateReport, LeakageReport

__all__ = ["duplicates_command", "leakage_command"]

_UNKNOWN = 3
_SHOWN = 20


def leakage_command(
    name: GeneratorName,
    held_out: Annotated[
        list[str], typer.Argument(metavar="ITEMS...", help="folders, lists or tables of validation or test items")
    ],
    image_key: Annotated[str, typer.Option(help="of the image in lists and tables")] = "image",
    subject_key: Annotated[
        str | None, typer.Option(help="of the subject; for folders a regular expression with one group")
    ] = None,
    trust: Trust = False,
    recipe: Recipe = None,
    as_json: AsJson = False,
) -> None:
    """Look for validation or test items among the training items of a generator.

    Exit code 0: no overlap, 1: overlap, 2: wrong arguments or data, 3: the bundle does not say what it was trained on.
    """
    from monai_genaug.cli.item_lists import ItemKeys, listed_items
    from monai_genaug.quality import check_leakage

    reports: dict[str, LeakageReport] = {}
    with usage_errors():
        generator = open_generator(name, trust=trust, recipe=recipe)
        subject = None if subject_key is None else "subject"
        for source in held_out:
            items = listed_items(source, ItemKeys(image_key, subject=subject_key))
            reports[source] = check_leakage(generator, items, subject_key=subject, on_overlap="ignore", progress=True)
    if as_json:
        print_json_text({source: report.to_dict() for source, report in reports.items()})
    for source, report in reports.items() if not as_json else ():
        typer.echo(f"{source}: {report.status}\n  {report}")
    found = {report.status for report in reports.values()}
    raise typer.Exit(1 if "overlap" in found else _UNKNOWN if "unknown" in found else 0)


def duplicates_command(
    parts: Annotated[list[str], typer.Argument(metavar="NAME=ITEMS...", help="such as train=FOLDER test=FOLDER")],
    near: Annotated[float, typer.Option(help="largest distance of a near duplicate, in [0, 1)")] = 0.1,
    image_key: Annotated[str, typer.Option(help="of the image in lists and tables")] = "image",
    as_json: AsJson = False,
) -> None:
    """Look for equal and nearly equal images within and between the parts of a data set.

    Exit code 0: none between parts, 1: some, 2: wrong arguments or data.
    """
    from monai_genaug.cli.item_lists import ItemKeys, listed_items
    from monai_genaug.cli.pictures import Pictures
    from monai_genaug.quality import find_duplicates

    with usage_errors():
        lists = {name: listed_items(source, ItemKeys(image_key)) for name, source in _named(parts).items()}
        report = find_duplicates({name: Pictures(items) for name, items in lists.items()}, near=near, progress=True)
    if as_json:
        print_json_text(report.to_dict())
    else:
        _show(report, {name: [str(item["image"]) for item in items] for name, items in lists.items()})
    raise typer.Exit(1 if _crossing(report) else 0)


def _named(parts: Sequence[str]) -> dict[str, str]:
    """Name of a part -> where its items are."""
    named: dict[str, str] = {}
    for part in parts:
        name, equals, source = part.partition("=")
        if not (name and equals and source) or name in named:
            raise ValueError(f"part {part!r} must look like train=FOLDER, each with a name of its own.")
        named[name] = source
    return named


def _crossing(report: DuplicateReport) -> list[DuplicatePair]:
    """Pairs of items of different parts."""
    return [pair for pair in report.pairs if pair.first[0] != pair.second[0]]


def _show(report: DuplicateReport, paths: Mapping[str, Sequence[str]]) -> None:
    rows = []
    for first, second in combinations_with_replacement(report.sizes, 2):
        title = f"within {first}" if first == second else f"{first} and {second}"
        rows.append((title, *(str(len(report.between(first, second, kind))) for kind in ("exact", "near"))))
    show_table(("parts", "equal pairs", "nearly equal pairs"), rows)
    crossing = _crossing(report)
    for pair in crossing[:_SHOWN]:
        names = [paths[part][index] for part, index in (pair.first, pair.second)]
        typer.echo(f"{pair.kind} ({pair.distance:.3f}, {pair.view}): {names[0]} = {names[1]}")
    if len(crossing) > _SHOWN:
        typer.echo(f"... and {len(crossing) - _SHOWN} more pairs between parts (--json prints all)")
