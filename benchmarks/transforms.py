# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What a draw from a pool costs in a chain of transforms, beside MONAI's RandFlipd and RandAffined and a plain copy.

All of them change every item: an image in float32 and a mask in uint8, MetaTensors with an affine. Single items are
timed in one process with one thread, from pools of both sizes, whose files are in the page cache. Items per second are
those of an epoch of MONAI's DataLoader; its workers live on, and the epoch that starts them is not timed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from monai.data import DataLoader, Dataset, MetaTensor
from monai.transforms import RandAffined, RandFlipd

from benchmarks.timing import Row, alternate, rate_row, show, time_row
from monai_genaug import RandGenerativeSampled, SampleGenerator, SamplePool, build_pool
from monai_genaug.generators import GeneratorSpec, OutputSpec

KEYS = ("image", "label")
POOL_SIZES = {(48, 64, 48): (16, 256), (64, 64): (16, 4096)}
WORKERS = (0, 1, 2)
ITEMS = 16

Transform = Callable[[dict[str, Any]], Any]


class Noise(SampleGenerator):
    """Images of one random intensity each, masks of one random label."""

    def __init__(self, spatial_shape: Sequence[int]) -> None:
        outputs = {
            "image": OutputSpec("image", 1, (0.0, 1.0), "float32"),
            "mask": OutputSpec("mask", 1, (0, 2), "uint8", ("background", "head", "tail")),
        }
        shape = tuple(spatial_shape)
        orientation = "RAS" if len(shape) == 3 else None
        super().__init__(
            GeneratorSpec(
                name="noise",
                version="1",
                outputs=outputs,
                spatial_shape=shape,
                spacing=(1.0,) * len(shape),
                orientation=orientation,
            )
        )

    def _generate(self, seeds: list[int], classes: list[int] | None, truncation: float) -> dict[str, torch.Tensor]:
        size = (len(seeds), 1, *self.spec.spatial_shape)
        rows = torch.tensor([seed % 997 for seed in seeds]).view(-1, 1, *[1] * len(self.spec.spatial_shape))
        return {"image": (rows / 997).float().expand(size), "mask": (rows % 3).to(torch.uint8).expand(size)}


def rows(quick: bool = False) -> list[Row]:
    """Single items of both shapes, then loaders."""
    single = [row for shape in POOL_SIZES for row in _single_items(shape, quick)]
    return single + [row for shape in POOL_SIZES for row in _loaders(shape, quick)]


def _single_items(shape: tuple[int, ...], quick: bool) -> list[Row]:
    sizes = POOL_SIZES[shape][: 1 if quick else None]
    items = _items(shape)
    with _pools(shape, sizes) as pools, _one_thread():
        ours = {f"a pool of {len(pool):,}": RandGenerativeSampled(KEYS, pool, prob=1.0) for pool in pools}
        others: dict[str, Transform] = {
            "RandFlipd": RandFlipd(KEYS, prob=1.0, spatial_axis=0),
            "RandAffined": RandAffined(KEYS, prob=1.0, rotate_range=0.2, mode=("bilinear", "nearest")),
            "a copy": _copied,
        }
        transforms: dict[str, Transform] = {**ours, **others}
        seconds = alternate(
            {name: partial(_each, made, items) for name, made in transforms.items()}, 1 if quick else 25
        )
    title = " x ".join(map(str, shape))
    return [
        time_row(
            f"{title}: {name}",
            seconds[name],
            "item",
            len(items),
            other,
            seconds[other],
            at_most=1.0 if other == "RandFlipd" else None,
        )
        for name in ours
        for other in others
    ]


def _loaders(shape: tuple[int, ...], quick: bool) -> list[Row]:
    size = POOL_SIZES[shape][0]
    items = _items(shape) * (1 if quick else 16 if len(shape) == 3 else 64)
    found = []
    with _pools(shape, (size,)) as (pool,):
        for workers in WORKERS[: 2 if quick else None]:
            loaders = {
                name: DataLoader(Dataset(items, made), workers, batch_size=8, persistent_workers=workers > 0)
                for name, made in (
                    ("RandGenerativeSampled", RandGenerativeSampled(KEYS, pool, prob=1.0)),
                    ("RandFlipd", RandFlipd(KEYS, prob=1.0, spatial_axis=0)),
                )
            }
            runs = {name: partial(_epoch, loader) for name, loader in loaders.items()}
            ours, flip = alternate(runs, 1 if quick else 9).values()
            what = f"{' x '.join(map(str, shape))}: a pool of {size:,}, {workers} workers"
            found.append(rate_row(what, ours, "item", len(items), "RandFlipd", flip))
    return found


def _items(shape: Sequence[int]) -> list[dict[str, Any]]:
    """Noise as MONAI loads it, with an affine that is not the identity."""
    generator = torch.Generator().manual_seed(0)
    affine = torch.eye(4, dtype=torch.float64)
    affine[:3, 3] = torch.tensor([-90.0, -126.0, -72.0])
    return [
        {
            "image": MetaTensor(torch.rand(1, *shape, generator=generator), affine=affine),
            "label": MetaTensor(torch.randint(3, (1, *shape), generator=generator, dtype=torch.uint8), affine=affine),
        }
        for _ in range(ITEMS)
    ]


@contextmanager
def _pools(shape: Sequence[int], sizes: Sequence[int]) -> Iterator[list[SamplePool]]:
    """Pools in a temporary folder; writing them brings them into the page cache."""
    with TemporaryDirectory() as folder:
        yield [build_pool(Noise(shape), size, Path(folder) / f"pool_{size}", progress=False) for size in sizes]


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _copied(item: dict[str, Any]) -> dict[str, Any]:
    return {key: value.clone() for key, value in item.items()}


def _each(transform: Transform, items: list[dict[str, Any]]) -> None:
    for item in items:
        transform(item)


def _epoch(loader: DataLoader) -> None:
    for _ in loader:
        pass


if __name__ == "__main__":
    show(rows)
