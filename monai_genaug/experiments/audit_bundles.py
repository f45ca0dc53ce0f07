# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Audits bundles and writes what their samples and weights give away into their cards.

``python -m monai_genaug.experiments.audit_bundles --dataset-dir $GENAUG_DATA --work-dir runs/audits [NAME ...]``

It is the part of :mod:`~monai_genaug.experiments.bundle_quality` that is about privacy. Every stage leaves its result
in the work folder; a run that was stopped goes on with the next one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monai_genaug.experiments.bundle_card import write_measured
from monai_genaug.experiments.bundle_privacy import bundle_privacy
from monai_genaug.experiments.bundle_quality import opened_bundle
from monai_genaug.generators import list_generators

__all__ = ["audit_bundles"]


def audit_bundles(
    dataset_dir: Annotated[Path, typer.Option(help="folder of data sets")],
    names: Annotated[list[str] | None, typer.Argument(help="names or folders; all shipped bundles by default")] = None,
    work_dir: Annotated[Path, typer.Option(help="intermediate results; a stopped run goes on")] = Path("runs/audits"),
    samples: Annotated[int, typer.Option(help="of each audit")] = 500,
    seeds: Annotated[int, typer.Option(help="sets of samples")] = 5,
) -> None:
    """Measures, and writes ``docs/measured.json``, warnings and the measured part of the cards."""
    for name in names or list_generators():
        generator, folder, parts = opened_bundle(name, dataset_dir, work_dir)
        privacy = bundle_privacy(generator, parts, work_dir, samples, seeds)
        write_measured(folder, {"privacy": privacy.to_dict()})
        typer.echo(f"{name}: {sum(verdict.ok for verdict in privacy.verdicts)} of {seeds} audits pass")


if __name__ == "__main__":
    typer.run(audit_bundles)
