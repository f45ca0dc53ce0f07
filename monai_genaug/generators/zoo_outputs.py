# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What a third-party bundle returns, as the outputs of a generator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from monai_genaug.generators.base import Samples

__all__ = ["as_tensor", "joined", "outputs_of", "part_of"]


def outputs_of(made: Any, where: Mapping[str, int | str], count: int, dims: int | None) -> Samples:
    """The outputs in what a bundle returned.

    Args:
        made: what it returned.
        where: name of an output -> its key or position in ``made``; empty: ``made`` is the image.
        count: of the samples.
        dims: number of spatial axes; None: not known.

    Returns:
        Name -> ``(count, channels, *spatial)``, float32, copied.

    Raises:
        ValueError: something else than tensors of these shapes, or outputs of different spatial shapes.
    """
    parts = {name: part_of(made, key) for name, key in where.items()} or {"image": made}
    outputs = {name: _as_batch(part, count, dims) for name, part in parts.items()}
    shapes = {name: tuple(batch.shape[2:]) for name, batch in outputs.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"the outputs have different spatial shapes: {shapes}.")
    return outputs


def part_of(made: Any, key: int | str) -> Any:
    """The part of what a bundle returned that is one output.

    Raises:
        ValueError: there is none.
    """
    can_look_up = isinstance(made, Mapping) or (isinstance(key, int) and isinstance(made, (list, tuple)))
    if can_look_up and (key in made if isinstance(made, Mapping) else int(key) < len(made)):
        return made[key]
    has = f" with {list(made)}" if isinstance(made, Mapping) else ""
    has = f" of {len(made)}" if isinstance(made, (list, tuple)) else has
    raise ValueError(f"outputs of the recipe names {key!r}, but the sample is {type(made).__name__}{has}.")


def joined(parts: Sequence[Samples]) -> Samples:
    """Several samples as one batch."""
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def as_tensor(value: Any) -> Tensor:
    """A copy in float32, without meta data.

    Raises:
        ValueError: neither a tensor nor an array.
    """
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(np.ascontiguousarray(value))
    if not isinstance(value, Tensor):
        raise ValueError(
            f"the sample is {type(value).__name__}, expected a tensor. Of a bundle that writes files and returns their "
            "names, the recipe says in output_dir which config item is the folder."
        )
    return value.as_subclass(Tensor).detach().to(torch.float32, copy=True)


def _as_batch(made: Any, count: int, dims: int | None) -> Tensor:
    """One output as ``(count, channels, *spatial)``."""
    if isinstance(made, Mapping):
        known = [made[key] for key in ("image", "pred") if key in made]
        made = known[0] if known else next(iter(made.values()), None)
    if isinstance(made, tuple) and made and isinstance(made[0], Tensor) and made[0].ndim > 2:
        made = made[0]  # the sample, and its intermediate steps
    if isinstance(made, Sequence) and not isinstance(made, str) and made:
        made = torch.stack([as_tensor(item) for item in made])
    batch = as_tensor(made)
    if count == 1 and batch.ndim == (3 if dims is None else dims + 1):
        batch = batch[None]
    if batch.ndim not in ((4, 5) if dims is None else (dims + 2,)):
        raise ValueError(f"the sample has shape {tuple(batch.shape)}, expected (n, channels, *spatial).")
    if count == 1:
        batch = batch[:1]  # bundles that draw several samples at once
    if batch.shape[0] != count:
        raise ValueError(f"{count} seeds gave {batch.shape[0]} samples.")
    return batch
