# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Which effects does the privacy audit see in generators that copy, and in honest ones?

``python -m monai_genaug.experiments.audit_calibration --dataset-dir <MedMNIST files' parent> --work-dir runs/audit``

Real images are split at random into a training part, a held-out part and images to be played. Honest generators play
images that are in neither part, as they are and smoothed; copying ones play training images, disguised, for all or for
a share of their samples. The thresholds come from the first data set alone; the others say whether they hold.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from monai_genaug.data import medmnist_items
from monai_genaug.experiments.audit_roc import draw_roc, trials_table
from monai_genaug.experiments.audit_trials import SHARES, Trial
from monai_genaug.experiments.overfitted import overfitted_generator
from monai_genaug.experiments.replaying import DISGUISES, PlayingGenerator, smoothed
from monai_genaug.experiments.stages import stage_key, stored_json
from monai_genaug.experiments.step_bar import step_bar
from monai_genaug.generators import SampleGenerator, load_generator
from monai_genaug.quality.audit import audit
from monai_genaug.quality.audit_items import AuditItems
from monai_genaug.quality.audit_report import AuditReport, AuditThresholds
from monai_genaug.quality.duplicates import find_duplicates

__all__ = ["calibrate", "load_items"]

CALIBRATION = "breastmnist"
JUDGED = ("pneumoniamnist", "adrenalmnist3d")
HONEST_SPLITS = 8
LARGEST = {"breastmnist": 1000, "pneumoniamnist": 2000, "adrenalmnist3d": 800}
"""Real images that are used, at most: what an audit takes grows with them."""
BUNDLES = {
    "breastmnist": ("breast_us_cvae", "breast_us_cgan"),
    "pneumoniamnist": ("chest_xray_cvae", "chest_xray_cgan", "chest_xray_joint_vae"),
    "adrenalmnist3d": ("adrenal_ct_rhvae",),
}
OVERFITTED, OVERFITTED_STEPS = 20, 600


def calibrate(
    dataset_dir: Annotated[Path, typer.Option(help="folder with medmnist/<name>.npz")],
    work_dir: Annotated[Path, typer.Option(help="results of each audit; a stopped run goes on from them")] = Path(
        "runs/audit"
    ),
    picture: Annotated[Path | None, typer.Option(help="where to draw the ROC curves, a PNG")] = None,
) -> None:
    """Runs all audits and prints their table."""
    trials = []
    for dataset in (CALIBRATION, *JUDGED):
        work = list(_planned(dataset, dataset_dir / "medmnist"))
        with step_bar(f"audits on {dataset}", len(work)) as move:
            for number, (name, share, run) in enumerate(work, start=1):
                path = work_dir / f"audit_{stage_key(dataset, name, share, number)}.json"
                report = AuditReport.from_dict(stored_json(path, partial(_plain, run)))
                trials.append(_trial(dataset, name, share, report))
                move(number)
    typer.echo(trials_table(trials))
    if picture is not None:
        draw_roc(trials, picture)


def load_items(dataset: str, folder: Path, parts: Sequence[str]) -> AuditItems:
    """Images in [0, 1] and classes of parts of a MedMNIST file."""
    items = [item for part in parts for item in medmnist_items(dataset, folder, part)]
    images = torch.stack([torch.as_tensor(item["image"]) for item in items]).float() / 255.0
    return AuditItems({"image": images}, torch.tensor([int(item["label"]) for item in items]))


def _planned(dataset: str, folder: Path) -> Iterator[tuple[str, float | None, Callable[[], AuditReport]]]:
    """What is audited on a data set: kind, share of copies, and the function that does it."""
    pool = _without_duplicates(load_items(dataset, folder, ("train", "val")), LARGEST[dataset])
    for split in range(HONEST_SPLITS):
        train, held_out, unseen = _split(pool, split)
        yield "real images", 0.0, partial(_play, train, held_out, unseen, None, 0.0)
        yield "real images, smoothed", 0.0, partial(_play, train, held_out, _mapped(unseen, smoothed), None, 0.0)
    for number, kind in enumerate(DISGUISES):
        for share in SHARES:
            yield kind, share, partial(_play, *_split(pool, number), kind, share)
    if pool.outputs["image"].ndim == 4:
        yield f"VAE trained on {OVERFITTED} images", 1.0, partial(_overfitted, pool)
    for bundle in BUNDLES[dataset]:
        yield f"bundle {bundle}", None, partial(_shipped, bundle, dataset, folder)


def _play(train: AuditItems, held_out: AuditItems, unseen: AuditItems, kind: str | None, share: float) -> AuditReport:
    """Audits a generator that plays copies for a share of its samples, and unseen images for the others."""
    assert train.labels is not None
    numbers = sorted(set(train.labels.tolist()))
    count = min(len(unseen.rows_of(number)) for number in numbers)
    played = {}
    for number in numbers:
        images = unseen.outputs["image"][unseen.rows_of(number)][:count].clone()
        copies = round(share * count)
        if kind is not None:
            rows = train.rows_of(number)
            rows = rows[torch.arange(copies) % len(rows)]
            images[:copies] = DISGUISES[kind](train.outputs["image"][rows])
        played[number] = images
    return audit(PlayingGenerator(played, kind or "honest"), train, held_out, count * len(numbers))


def _overfitted(pool: AuditItems) -> AuditReport:
    order = torch.randperm(len(pool), generator=torch.Generator().manual_seed(0))
    images = pool.outputs["image"][order]
    generator = overfitted_generator(images[:OVERFITTED], OVERFITTED_STEPS)
    parts = (AuditItems({"image": images[:OVERFITTED]}), AuditItems({"image": images[OVERFITTED : 10 * OVERFITTED]}))
    return audit(generator, *parts, n_samples=200)


def _shipped(bundle: str, dataset: str, folder: Path) -> AuditReport:
    """Audits a bundle against the parts that it was trained with; those of ``val`` only stopped its training."""
    generator: SampleGenerator = load_generator(bundle)
    parts = [load_items(dataset, folder, [part]) for part in ("train", "val")]
    if generator.spec.classes is None:
        parts = [AuditItems(part.outputs) for part in parts]
    return audit(generator, parts[0], parts[1], n_samples=300)


def _without_duplicates(items: AuditItems, largest: int) -> AuditItems:
    """At most ``largest`` items, in random order, without exact and near duplicates."""
    left_out = set(find_duplicates({"all": items.outputs["image"]}).redundant()["all"])
    order = torch.randperm(len(items), generator=torch.Generator().manual_seed(0)).tolist()
    return items.take(torch.tensor([row for row in order if row not in left_out][:largest]))


def _split(pool: AuditItems, seed: int) -> tuple[AuditItems, AuditItems, AuditItems]:
    """Training (40 %), held-out (20 %) and unseen (40 %) items, in random order."""
    order = torch.randperm(len(pool), generator=torch.Generator().manual_seed(1000 + seed))
    first, second = int(0.4 * len(pool)), int(0.6 * len(pool))
    return pool.take(order[:first]), pool.take(order[first:second]), pool.take(order[second:])


def _mapped(items: AuditItems, function: Callable[[Tensor], Tensor]) -> AuditItems:
    return AuditItems({"image": function(items.outputs["image"])}, items.labels)


def _plain(run: Callable[[], AuditReport]) -> dict[str, Any]:
    return run().to_dict()


def _trial(dataset: str, kind: str, share: float | None, report: AuditReport) -> Trial:
    limits = AuditThresholds()
    checks = [
        dataclasses.replace(check, threshold=getattr(limits, check.name))
        for check in report.checks
        if not check.needs_weights
    ]
    effects = {check.name: check.effect for check in checks if check.scope == "all"}
    score = max(check.score for check in checks)
    return Trial(dataset, kind, share, score <= 1.0, score, effects, report.n_samples)


if __name__ == "__main__":
    typer.run(calibrate)
