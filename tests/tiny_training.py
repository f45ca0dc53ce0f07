# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A training of the shipped bundle that takes seconds: few small volumes, few channels."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np

import monai_genaug

BUNDLE = Path(monai_genaug.__file__).parent / "bundles" / "hippocampus_mri_rhvae"
CONFIGS = BUNDLE / "configs"
SHAPE = (16, 16, 16)
NETWORK = {
    "spatial_dims": 3,
    "spatial_shape": list(SHAPE),
    "image_channels": 1,
    "mask_classes": 3,
    "latent_dim": 3,
    "channels": [4, 4],
    "temperature": 2.0,
    "regularization": 0.01,
    "n_leapfrog": 1,
    "leapfrog_step": 0.01,
    "second_order": False,
}


def write_volumes(folder: Path, count: int = 10) -> Path:
    """Decathlon folder of ``count`` volumes of unequal size, all smaller than ``SHAPE``."""
    rng = np.random.default_rng(0)
    entries = []
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    for number in range(1, count + 1):
        shape = tuple(int(size) for size in rng.integers(11, 15, 3))
        grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij"))
        radius = np.sqrt(((grid - rng.uniform(-0.2, 0.2, (3, 1, 1, 1))) ** 2).sum(axis=0))
        label = np.where(radius < rng.uniform(0.5, 0.8), np.where(grid[1] > 0, 1, 2), 0).astype(np.uint8)
        image = (100.0 * (label > 0) + 20.0 * rng.random(shape)).astype(np.float32)
        file = f"hippocampus_{number:03d}.nii.gz"
        for name, volume in (("imagesTr", image), ("labelsTr", label)):
            nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), folder / name / file)
        entries.append({"image": f"./imagesTr/{file}", "label": f"./labelsTr/{file}"})
    (folder / "dataset.json").write_text(json.dumps({"name": "tiny", "training": entries}))
    return folder


def write_overlay(folder: Path, **changes: object) -> Path:
    """Config on top of ``train.json``: a split of the ten volumes, the tiny network, and further changes."""
    names = [f"hippocampus_{number:03d}.nii.gz" for number in range(1, 11)]
    split = folder / "split.json"
    split.write_text(json.dumps({"train": names[:6], "val": names[6:8], "test": names[8:]}))
    overlay = {
        "device": "$torch.device('cpu')",
        "split_file": str(split),
        "network_args": NETWORK,
        "train_dataloader#batch_size": 2,
        "lr_scheduler#warmup_steps": 2,
        "amp": None,
        "min_subjects": 1,
        **changes,
    }
    path = folder / "tiny.json"
    path.write_text(json.dumps(overlay))
    return path
