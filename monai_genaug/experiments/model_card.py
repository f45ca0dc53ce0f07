# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Measures the hippocampus bundle beside two baselines and writes figures and pictures into its model card.

``python -m monai_genaug.experiments.model_card --dataset-dir <Task04_Hippocampus> --work-dir runs/model_card``

Every stage leaves its result in the work folder; a run that was stopped goes on with the next one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from monai.bundle import ConfigWorkflow
from monai.data import Dataset
from monai.transforms import Compose
from torch import Tensor, nn

from monai_genaug.experiments.bundle_card import check_card, read_measured, write_measured
from monai_genaug.experiments.card_text import ARM_STEPS, N_REAL, N_SYNTHETIC
from monai_genaug.experiments.downstream import ARMS, ArmData, run_arm, score_arm
from monai_genaug.experiments.fidelity import measure_fidelity
from monai_genaug.experiments.hippocampus_data import BUNDLE, load_part, stack_pairs
from monai_genaug.experiments.pca_generator import PCAGenerator
from monai_genaug.experiments.segmentation import (
    dice_scores,
    geometric_augmentation,
    intensity_augmentation,
    segmentation_network,
    train_segmenter,
)
from monai_genaug.experiments.stages import stored_json
from monai_genaug.experiments.step_bar import step_bar
from monai_genaug.generators import (
    LatentGenerator,
    VAEGenerator,
    load_generator,
)
from monai_genaug.generators.encoder_input import encoder_input
from monai_genaug.generators.loading import bundle_path
from monai_genaug.generators.pool_building import build_pool
from monai_genaug.latent import GaussianMixtureLatent
from monai_genaug.plotting import sample_grid
from monai_genaug.weights import load_strict, read_weights, save_weights

__all__ = ["measure_model_card"]

JUDGE_STEPS = 600
MIXTURE_COMPONENTS = 5
BATCH = 8
_BUNDLE_ROW = "RHVAE"


def measure_model_card(
    dataset_dir: Annotated[Path, typer.Option(help="folder Task04_Hippocampus")],
    work_dir: Annotated[Path, typer.Option(help="intermediate results; a stopped run goes on from them")],
    bundle: Annotated[str, typer.Option(help="name or folder of the bundle")] = BUNDLE,
    seeds: Annotated[int, typer.Option(help="runs of every downstream arm")] = 5,
    keep: Annotated[
        bool,
        typer.Option(
            help="keep the card's figures of what has not to do with the bundle: baselines, real volumes alone"
        ),
    ] = False,
) -> None:
    """Measures, and writes ``docs/measured.json``, pictures and the measured part of ``docs/README.md``."""
    work_dir.mkdir(parents=True, exist_ok=True)
    generator = load_generator(bundle)
    assert isinstance(generator, VAEGenerator), f"{bundle} is no VAE bundle"
    folder = bundle_path(bundle)
    check_card(folder)
    parts = {part: load_part(generator, dataset_dir, part) for part in ("train", "val", "test")}
    judge = _judge(parts["train"], work_dir / "judge.pt")
    training, test = stack_pairs(parts["train"]), stack_pairs(parts["test"])

    measured: dict[str, Any] = {"judge_dice": dice_scores(judge, parts["test"]).mean(dim=0).tolist()}
    makers: dict[str, Callable[[], LatentGenerator]] = {
        _BUNDLE_ROW: lambda: generator,
        "VAE, gaussian mixture": lambda: _plain_vae(generator, folder, parts, dataset_dir, work_dir / "vae"),
        "PCA, Gaussian": lambda: PCAGenerator(training, generator.spec, generator.network.latent_dim),
    }
    known = read_measured(folder) if keep else {}
    measured["fidelity"] = {}
    for name, make in makers.items():
        if name != _BUNDLE_ROW and name in known.get("fidelity", {}):
            measured["fidelity"][name] = known["fidelity"][name]
            continue
        path = work_dir / f"fidelity_{name.split(',')[0].lower()}_{generator.spec.sha256[:8]}.json"
        measured["fidelity"][name] = stored_json(path, partial(_fidelity, make, training, test, judge))
    pool = build_pool(generator, N_SYNTHETIC, work_dir / f"pool_{generator.spec.sha256[:8]}")
    data = ArmData(parts["val"][:N_REAL], generator, pool)
    known_rows = [row for row in known.get("downstream", []) if row["source"] == "real" and len(row["runs"]) == seeds]
    measured["downstream"] = _downstream(data, parts["test"], seeds, work_dir, known_rows)
    measured["counts"] = {part: len(items) for part, items in parts.items()}
    measured["sampler"] = _sampler_report(generator)

    docs = folder / "docs"
    sample_grid(generator.sample(range(8)), docs / "samples.png", [f"seed {seed}" for seed in range(8)])
    eight = {name: values[:8] for name, values in test.items()}
    sample_grid(eight, docs / "real.png", [f"real {i}" for i in range(8)])
    sample_grid(generator.reconstruct(eight), docs / "reconstructed.png", [f"decoded {i}" for i in range(8)])
    write_measured(folder, measured)


def _fidelity(
    make: Callable[[], LatentGenerator], training: dict[str, Tensor], test: dict[str, Tensor], judge: nn.Module
) -> dict[str, float]:
    return measure_fidelity(make(), training, test, judge).as_dict()


def _judge(train: list[dict[str, Any]], path: Path) -> nn.Module:
    """A segmentation network trained on the real training part: it judges generated pairs and gives the features."""
    if path.is_file():
        network = segmentation_network(seed=0).eval()
        load_strict(network, read_weights(path), str(path))
        return network
    chain = Compose([*geometric_augmentation(), *intensity_augmentation(train[0]["image"].shape[1:])])
    with step_bar("train the judge", JUDGE_STEPS) as move:
        network = train_segmenter(Dataset(train, chain), JUDGE_STEPS, seed=0, on_step=move)
    save_weights(network.state_dict(), path)
    return network


def _plain_vae(
    generator: VAEGenerator, folder: Path, parts: dict[str, list[dict[str, Any]]], dataset_dir: Path, work_dir: Path
) -> VAEGenerator:
    """The baseline: the bundle's own training, but of a plain VAE; codes drawn from a mixture of Gaussians."""
    configs = folder / "configs"
    exported = work_dir / "bundle"
    if not exported.is_dir():
        workflow = ConfigWorkflow(
            config_file=[str(configs / "train.json"), str(configs / "baseline_vae.json")],
            workflow_type="train",
            bundle_root=str(folder),
            dataset_dir=str(dataset_dir),
            output_dir=str(work_dir),
        )
        workflow.initialize()
        workflow.run()
        workflow.finalize()
    network = copy.deepcopy(VAEGenerator.from_bundle(exported).network)
    network.latent = GaussianMixtureLatent(network.latent_dim, MIXTURE_COMPONENTS)
    inputs = encoder_input(stack_pairs(parts["train"]), generator.spec).split(BATCH)
    held_out = encoder_input(stack_pairs(parts["val"]), generator.spec).split(BATCH)
    network.fit_generation(inputs, held_out)
    return VAEGenerator(network, generator.spec.replace(name="vae", sha256="", truncation=True))


def _downstream(
    data: ArmData, test: list[dict[str, Any]], seeds: int, work_dir: Path, known: Sequence[dict[str, Any]] = ()
) -> list[dict[str, Any]]:
    """A row per arm; those that are known already are taken as they are. All arms have run before the next seed."""
    rows: dict[tuple[str, bool], dict[str, Any]] = {(row["source"], row["geometric"]): row for row in known}
    missing = [arm for arm in ARMS if arm not in rows]
    rows |= {arm: {"source": arm[0], "geometric": arm[1], "runs": []} for arm in missing}
    for seed in range(seeds):
        for source, geometric in missing:
            name = f"arm_{source.replace(' ', '')}_{int(geometric)}_{seed}_{data.pool.spec.sha256[:8]}.json"
            run = stored_json(work_dir / name, partial(_run, source, geometric, data, test, seed))
            rows[source, geometric]["runs"].append(run)
    return [rows[arm] for arm in ARMS]


def _run(source: str, geometric: bool, data: ArmData, test: list[dict[str, Any]], seed: int) -> list[float]:
    label = f"{source}{' + geometric' if geometric else ''}, seed {seed}"
    with step_bar(label, ARM_STEPS) as move:
        network = run_arm(source, geometric, data, ARM_STEPS, seed, on_step=move)
    scores: list[float] = score_arm(network, test).nanmean(dim=0).tolist()
    return scores


def _sampler_report(generator: VAEGenerator) -> dict[str, float]:
    report = generator.network.latent.diagnostics(range(256))  # type: ignore[operator]
    return {
        "acceptance": float(report.acceptance),
        "median_nearest_distance": float(report.nearest_distance.median()),
        "fraction_at_start": float(report.fraction_at_start),
    }


if __name__ == "__main__":
    typer.run(measure_model_card)
