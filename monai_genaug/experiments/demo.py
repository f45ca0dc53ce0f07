# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The whole way in a few minutes: from the shipped bundle to a trained network that is tried on a real brain."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from monai.data import DataLoader, Dataset
from monai.transforms import Compose
from torch import nn

from monai_genaug.experiments.demo_report import ArmResult, Report, write_overlay
from monai_genaug.experiments.downstream import ARMS, ArmData, run_arm, score_arm
from monai_genaug.experiments.hippocampus_data import BUNDLE, find_dataset, load_part
from monai_genaug.experiments.segmentation import geometric_augmentation
from monai_genaug.experiments.step_bar import step_bar
from monai_genaug.experiments.template_brain import load_template, segment_template
from monai_genaug.generators import SampleGenerator, SamplePool, load_generator
from monai_genaug.generators.pool_building import build_pool
from monai_genaug.plotting import sample_grid
from monai_genaug.transforms import RandGenerativeSampled

__all__ = ["run_demo"]

N_SYNTHETIC = 300
N_REAL = 10
STEPS = 200


def run_demo(
    out: Path, steps: int = STEPS, n_synthetic: int = N_SYNTHETIC, arms: Sequence[tuple[str, bool]] = ARMS
) -> Path:
    """Runs the demo and writes ``report.md`` with its pictures.

    Args:
        out: folder for the report; files of an earlier run are replaced.
        steps: optimisation steps of every segmentation network.
        n_synthetic: synthetic pairs.
        arms: what to compare where real volumes are found, see :data:`ARMS`.

    Returns:
        The report's path.
    """
    started = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    generator = load_generator(BUNDLE)
    report = Report(generator.spec, steps, n_synthetic, N_REAL, _machine())
    sample_grid(generator.sample(range(8)), out / "samples.png", titles=[f"seed {seed}" for seed in range(8)])

    pool = build_pool(generator, n_synthetic, out / "pool", progress=True)
    report.chain_flags = _show_chain(pool, out / "chain.png")
    network = _train("synthetic", True, ArmData([], generator, pool), steps)
    template = load_template()
    found, report.sides = segment_template(network, generator, template)
    write_overlay(template, found, out / "template.png")

    dataset = find_dataset()
    if dataset is not None:
        report.arms = _compare(arms, generator, dataset, pool, steps, network)
    report.seconds = time.monotonic() - started
    path = report.write(out / "report.md")
    print(report.summary())
    print(f"Report: {path.resolve()}")
    return path


def _show_chain(pool: SamplePool, path: Path) -> list[bool]:
    """One item eight times through an ordinary chain whose head is the generative transform."""
    item: dict[str, Any] = {"image": pool[0]["image"].clone(), "label": pool[0]["mask"].clone()}
    chain = Compose([RandGenerativeSampled(["image", "label"], pool, prob=0.3), *geometric_augmentation()])
    seeded = torch.Generator().manual_seed(2)  # from which MONAI's loader seeds the chain
    batch = next(iter(DataLoader(Dataset([item] * 8, chain), batch_size=8, generator=seeded)))
    flags = [bool(flag) for flag in batch["is_synthetic"]]
    titles = ["new sample" if flag else "the item" for flag in flags]
    sample_grid({"image": torch.as_tensor(batch["image"]), "mask": torch.as_tensor(batch["label"])}, path, titles)
    return flags


def _compare(
    arms: Sequence[tuple[str, bool]],
    generator: SampleGenerator,
    dataset: Path,
    pool: SamplePool,
    steps: int,
    synthetic_network: nn.Module,
) -> list[ArmResult]:
    data = ArmData(load_part(generator, dataset, "val")[:N_REAL], generator, pool)
    test = load_part(generator, dataset, "test")
    results = []
    for source, geometric in arms:
        known = (source, geometric) == ("synthetic", True)
        network = synthetic_network if known else _train(source, geometric, data, steps)
        results.append(ArmResult(source, geometric, score_arm(network, test)))
    return results


def _train(source: str, geometric: bool, data: ArmData, steps: int) -> nn.Module:
    label = f"train on {source}" + (" + geometric" if geometric else "")
    with step_bar(label, steps) as move:
        return run_arm(source, geometric, data, steps, seed=0, on_step=move)


def _machine() -> str:
    return f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
