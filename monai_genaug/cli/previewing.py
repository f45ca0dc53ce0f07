# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""``monai-genaug preview``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monai_genaug.cli.errors import usage_errors
from monai_genaug.cli.opening import Device, GeneratorName, Recipe, Trust, open_generator
from monai_genaug.cli.outputs import check_free_files
from monai_genaug.cli.printing import AsJson, Force, print_json_text

__all__ = ["preview_command"]

_COUNT = 16


def preview_command(
    name: GeneratorName,
    out: Annotated[Path, typer.Option(help="the picture; its ending says the format")] = Path("samples.png"),
    count: Annotated[
        int | None, typer.Option(help=f"samples of each class, seeds 0 and up; {_COUNT} by default")
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="instead of --count, such as 0:16 or 1,2,3")] = None,
    classes: Annotated[list[str] | None, typer.Option("--class", help="show this class alone; repeatable")] = None,
    truncation: Annotated[list[float] | None, typer.Option(help="in (0, 1]; repeatable, one row for each")] = None,
    gif: Annotated[
        bool, typer.Option("--gif", help="also an animation of turning volumes, beside the picture")
    ] = False,
    device: Device = "cpu",
    trust: Trust = False,
    recipe: Recipe = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Draw samples as a picture: a row per class, of volumes three planes with the outlines of their masks."""
    from monai_genaug.cli.values import classes_given, seeds_given
    from monai_genaug.experiments.sample_preview import draw_preview

    with usage_errors():
        if count is not None and seeds is not None:
            raise ValueError("needed: --count or --seeds, not both.")
        chosen = seeds_given(f"0:{_COUNT if count is None else count}" if seeds is None else seeds)
        turning = out.with_suffix(".gif") if gif else None
        if turning == out:
            raise ValueError(f"out is {out}, needed: the name of the picture; the animation lies beside it as .gif.")
        check_free_files([out, *([] if turning is None else [turning])], force)
        generator = open_generator(name, device, trust, recipe)
        wanted = classes_given(classes or [], generator.spec.classes)
        files = draw_preview(generator, chosen, out, wanted, truncation or [1.0], turning)
    if as_json:
        print_json_text({"files": [str(path) for path in files], "seeds": chosen})
    for path in files if not as_json else ():
        typer.echo(str(path))
