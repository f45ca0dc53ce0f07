# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Networks of shipped bundles on a CPU, whose features take new pages in every call or those of the last one.

Each process decodes ready codes in batches of 32 (volumes: 3), or takes training steps with batches of 64 (volumes: 8),
as it starts and after ``keep_freed_memory`` of 64 MiB, which all generators call, or of 256 MiB, which all trainers
call. The note says how many pages of 4 KiB a sample or a step takes.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.raw_network import decode, raw_network
from benchmarks.rhvae_training import elbo_step
from benchmarks.timing import Row, in_own_process, rate_row, show
from monai_genaug.generators.freed_memory import TRAINING_MIB, keep_freed_memory

COUNTS = {"chest_xray_cvae": 256, "chest_xray_cgan": 512, "skin_lesion_dcgan": 256, "hippocampus_mri_rhvae": 12}
"""Samples that are decoded."""

STEPS = {"chest_xray_cvae": 4, "chest_xray_joint_vae": 4, "hippocampus_mri_rhvae": 2}
"""Training steps of networks that have an evidence lower bound."""

Measured = tuple[list[float], float]
"""Seconds of every repetition, and new pages per sample or step."""


def rows(quick: bool = False, apart: Callable[..., Measured] = in_own_process) -> list[Row]:
    """All networks.

    Args:
        quick: little work.
        apart: calls a function in another process.
    """
    repeats = 1 if quick else 7
    return [
        *(_row_of(name, "sample", decoded, 4 if quick else count, repeats, apart) for name, count in COUNTS.items()),
        *(_row_of(name, "step", trained, 1 if quick else count, repeats, apart) for name, count in STEPS.items()),
    ]


def _row_of(
    name: str, what: str, run: Callable[..., Measured], count: int, repeats: int, apart: Callable[..., Measured]
) -> Row:
    measured: dict[bool, tuple[list[float], list[float]]] = {True: ([], []), False: ([], [])}
    for _ in range(1 if repeats == 1 else 2):  # processes take turns
        for keeps, (seconds, pages) in measured.items():
            found = apart(run, name, count, repeats, keeps)
            seconds += found[0]
            pages.append(found[1])
    (ours, kept), (theirs, taken) = measured[True], measured[False]
    note = f"{max(taken):.0f} pages, then {max(kept):.0f}"
    title = name if what == "sample" else f"{name}: training"
    return rate_row(title, ours, what, count, "as it starts", theirs, note=note)


def decoded(name: str, count: int, repeats: int, keeps: bool) -> Measured:
    """What decoding takes in this process."""
    network = raw_network(name)
    codes = torch.randn(count, network.code_dim, generator=torch.Generator().manual_seed(0))
    batch_size = 32 if network.spatial_dims == 2 else 3
    return _measured(lambda: decode(network, codes, batch_size), count, repeats, 64 if keeps else 0)


def trained(name: str, count: int, repeats: int, keeps: bool) -> Measured:
    """What training steps on noise take in this process."""
    network: Any = raw_network(name)
    network.requires_grad_(True).train()
    rng, size = torch.Generator().manual_seed(0), 64 if network.spatial_dims == 2 else 8
    image = torch.rand(size, network.image_channels, *network.spatial_shape, generator=rng)
    mask = torch.zeros(size, 1, *network.spatial_shape) if network.mask_classes else None
    x = network.join(image, mask, torch.arange(size) % network.n_classes if network.n_classes else None)
    step = elbo_step(network, x)
    return _measured(lambda: [step() for _ in range(count)], count, repeats, TRAINING_MIB if keeps else 0)


def _measured(run: Callable[[], object], count: int, repeats: int, mib: int) -> Measured:
    if mib:
        keep_freed_memory("cpu", mib)
    run()
    seconds, before = [], resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / count / repeats


if __name__ == "__main__":
    show(rows)
