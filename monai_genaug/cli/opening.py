# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""How commands are given a generator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from monai_genaug.generators import SampleGenerator

__all__ = ["Device", "GeneratorName", "Recipe", "Trust", "bundle_completions", "open_generator"]


def bundle_completions(incomplete: str) -> list[tuple[str, str]]:
    """Names of shipped generators that begin like this, with what they make."""
    from monai_genaug.generators import list_generators

    specs = list_generators()
    return [(name, f"{spec.anatomy}, {spec.modality}") for name, spec in specs.items() if name.startswith(incomplete)]


GeneratorName = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="name of a shipped generator, folder of a bundle or pool, or exported network file",
        autocompletion=bundle_completions,
    ),
]
Device = Annotated[str, typer.Option(help="where samples are made: cpu, cuda, cuda:1 ...")]
Trust = Annotated[
    bool,
    typer.Option("--trust", help="read files that may run code, download a bundle of the model zoo: if you know them"),
]
Recipe = Annotated[Path | None, typer.Option(help="JSON file: how the bundle of somebody else makes samples")]


def open_generator(name: str, device: str = "cpu", trust: bool = False, recipe: Path | None = None) -> SampleGenerator:
    """The generator that a command is given.

    Args:
        name: see :func:`~monai_genaug.generators.load_generator`.
        device: where samples are made.
        trust: whether to read files that may run code while they are read, and to download a bundle.
        recipe: see :class:`~monai_genaug.generators.BundleRecipe`.

    Raises:
        ValueError: an unknown name (the known ones are listed), a folder that is neither bundle nor pool, a config
            that cannot be used, or a device that is not there.
    """
    import torch

    from monai_genaug.generators import load_generator

    try:
        place = torch.device(device)
        torch.empty(1, device=place)
    except (RuntimeError, AssertionError) as error:  # an unknown name; torch without CUDA
        raise ValueError(f"device {device!r} cannot be used: {str(error).splitlines()[0]}") from error
    return load_generator(name, place, trust, recipe)
