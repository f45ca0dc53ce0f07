# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What all tests share: real volumes, one thread per test process, how examples are drawn."""

from __future__ import annotations

import os
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from hypothesis import settings
from monai.utils import get_seed, set_determinism

# No deadline for an example: a busy machine would break it. Fresh examples for people, the same ones for machines.
settings.register_profile("monai_genaug", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("monai_genaug")

# One thread per process, also those that tests start: a thread pool would not survive in forked ones.
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def no_seed_of_another_test() -> None:
    """MONAI's seed, which bundles set for the whole process, and which transforms take that nobody else seeds."""
    if get_seed() is not None:
        set_determinism(None)


@pytest.fixture(scope="session")
def genaug_data() -> Path:
    """The folder with real data sets; tests that need it are skipped where it isn't."""
    folder = os.environ.get("GENAUG_DATA")
    if not folder:
        pytest.skip("set GENAUG_DATA to a folder with real data sets (for example Task04_Hippocampus of the Decathlon)")
    path = Path(folder)
    assert path.is_dir(), f"GENAUG_DATA is {folder!r}, which is no folder"
    return path


@pytest.fixture(scope="session")
def hippocampus_dir(genaug_data: Path) -> Path:
    """Decathlon task 4: ``imagesTr/hippocampus_*.nii.gz``, ``labelsTr/...`` and ``dataset.json``."""
    path = genaug_data / "Task04_Hippocampus"
    if not path.is_dir():
        pytest.skip(f"set GENAUG_DATA to a folder with Task04_Hippocampus; {genaug_data} has none")
    return path


@pytest.fixture(scope="session")
def anatomical_path() -> Path:
    """A real T1-like MRI volume of 33x41x25 voxels, which the nibabel wheel contains."""
    return Path(nibabel.__file__).parent / "tests" / "data" / "anatomical.nii"


@pytest.fixture
def anatomical(anatomical_path: Path) -> np.ndarray:
    """The voxels of :func:`anatomical_path`, ``(33, 41, 25)`` float32, unscaled; a fresh copy for each test."""
    return np.array(nibabel.load(anatomical_path).dataobj, dtype=np.float32)
