# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs the ``train.json`` of an untrained bundle, and says plainly why it stopped."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from monai.bundle import ConfigWorkflow
from monai.utils import get_seed, set_determinism

from monai_genaug.engines import NonFiniteLossError
from monai_genaug.weights import read_training_state, save_training_state

__all__ = ["change_learning_rate", "checkpoints_of", "run_training"]


def run_training(source: Path, data: Path, out: Path) -> None:
    """Trains and exports; the global random state is afterwards as it was before.

    Args:
        source: the untrained bundle.
        data: the folder to which the paths of ``out/datalist.json`` are relative.
        out: where everything is written; a training that was stopped goes on from its :func:`checkpoints_of`.

    Raises:
        NonFiniteLossError: the training left the finite numbers; the error names the last good checkpoint.
        Exception: whatever stopped it otherwise, without the ``RuntimeError`` in which MONAI wraps it.
    """
    try:
        with _global_state_kept():
            workflow = ConfigWorkflow(
                config_file=str(source / "configs" / "train.json"),
                workflow_type="train",
                bundle_root=str(source),
                dataset_dir=str(data),
                output_dir=str(out),
                datalist=str(out / "datalist.json"),
            )
            workflow.initialize()
            workflow.run()
            workflow.finalize()
    except RuntimeError as error:
        reason = _unwrapped(error)
        if isinstance(reason, NonFiniteLossError):
            raise NonFiniteLossError(f"{reason} {_advice(out)}") from reason
        raise reason from None


def checkpoints_of(out: Path) -> list[Path]:
    """The last checkpoint of each stage that has begun, the stage that is being trained first."""
    found = [path for path in (out / "checkpoints").rglob("last.pt") if path.is_file()]
    return sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True)


def change_learning_rate(checkpoint: Path, lr: float) -> None:
    """Writes another learning rate into a checkpoint: of its optimizers, and the base of its schedulers.

    What an optimizer has in proportion to the network's own stays so.

    Args:
        checkpoint: as :class:`~monai_genaug.handlers.TrainingCheckpoint` writes it; replaced atomically.
        lr: what the training would have started with.
    """
    state = read_training_state(checkpoint)
    own = state["parts"]["optimizer"]["param_groups"][0]
    factor = lr / own.get("initial_lr", own["lr"])
    for part in state["parts"].values():
        for group in part.get("param_groups", ()):
            for name in {"lr", "initial_lr"} & group.keys():
                group[name] *= factor
        for name in {"_last_lr", "base_lrs"} & part.keys():
            part[name] = [rate * factor for rate in part[name]]
    save_training_state(state, checkpoint)


def _advice(out: Path) -> str:
    again = "Train again with the same arguments, but a smaller learning rate (lr)"
    checkpoints = checkpoints_of(out)
    if not checkpoints:
        return f"No epoch was complete. {again}."
    epoch = read_training_state(checkpoints[0])["trainer"]["epoch"]
    return f"The last good checkpoint is {checkpoints[0]}, after epoch {epoch}. {again}, and it goes on from there."


def _unwrapped(error: BaseException) -> BaseException:
    """What MONAI's config parser and ``Compose`` wrapped."""
    while type(error) is RuntimeError and error.__cause__ is not None:
        error = error.__cause__
    return error


@contextmanager
def _global_state_kept() -> Iterator[None]:
    """Puts back the random states, MONAI's seed and cuDNN's flags, which ``train.json`` sets."""
    seed, states, numpy_state = get_seed(), random.getstate(), np.random.get_state()
    cudnn = torch.backends.cudnn
    flags = cudnn.deterministic, cudnn.benchmark
    with torch.random.fork_rng():
        try:
            yield
        finally:
            set_determinism(seed)
            random.setstate(states)
            np.random.set_state(numpy_state)
            cudnn.deterministic, cudnn.benchmark = flags
