# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""``monai-genaug demo`` and ``monai-genaug train``."""

from __future__ import annotations

import sys
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from monai_genaug.cli.errors import usage_errors
from monai_genaug.cli.outputs import check_report_folder
from monai_genaug.cli.printing import AsJson, Force, print_json_text

__all__ = ["demo_command", "train_command"]


def demo_command(
    out: Annotated[Path, typer.Option(help="folder for the report and its pictures")] = Path("demo_out"),
    steps: Annotated[int, typer.Option(min=1, help="of each training of a segmentation network")] = 200,
    samples: Annotated[int, typer.Option(min=2, help="synthetic pairs of image and mask to train on")] = 300,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Go the whole way: from the shipped bundle to a trained network that is tried on a real brain."""
    from monai_genaug.experiments.demo import run_demo

    with usage_errors():
        check_report_folder(out, ("report.md",), "demo", force)
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        report = run_demo(out, steps, samples)
    if as_json:
        print_json_text({"report": str(report)})


def train_command(
    data: Annotated[Path, typer.Argument(help="folder with a sub-folder per class, or of images alone")],
    out: Annotated[Path, typer.Option(help="folder for the run; the bundle is its sub-folder bundle")],
    model: Annotated[
        str, typer.Option(help="conditional_vae, vae, joint_vae, rhvae, sngan, diffusion, latent_diffusion")
    ] = "conditional_vae",
    name: Annotated[str | None, typer.Option(help="of the generator; by default that of the folder")] = None,
    size: Annotated[int | None, typer.Option(help="pixels or voxels per axis; by default 64 in 2D, 48 in 3D")] = None,
    epochs: Annotated[int | None, typer.Option(help="by default as many as make 4000 steps")] = None,
    subject: Annotated[str | None, typer.Option(help="regular expression, one group: the subject in a path")] = None,
    seed: Annotated[int, typer.Option(help="of split and training")] = 0,
    data_licence: Annotated[str, typer.Option(help="SPDX identifier")] = "NOASSERTION",
    lr: Annotated[float | None, typer.Option(help="learning rate; may change when a run goes on")] = None,
    as_json: AsJson = False,
) -> None:
    """Train a generator on your own pictures or volumes and make a bundle of it; a stopped run goes on."""
    from monai_genaug.blueprints import train_on_folder
    from monai_genaug.engines import NonFiniteLossError

    try:
        with usage_errors():
            bundle = train_on_folder(data, out, model, name, size, epochs, subject, seed, data_licence, lr)
    except NonFiniteLossError as error:
        typer.echo(f"\nError: {error}", err=True)  # below the progress bar, which doesn't end its line
        raise typer.Exit(1) from error
    if as_json:
        print_json_text({"bundle": str(bundle)})
    else:
        typer.echo(f'generator = monai_genaug.load_generator("{bundle}")')
