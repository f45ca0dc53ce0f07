# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Every shipped bundle, once: what needs its weights shares one generator."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import Tensor

from monai_genaug.generators import bundle_folder, list_generators, load_generator
from monai_genaug.generators.network import NetworkGenerator

SEEDS = (0, 1, 2)


@pytest.fixture(scope="session", params=tuple(list_generators()))
def name(request: pytest.FixtureRequest) -> str:
    """Of a shipped bundle."""
    return str(request.param)


@pytest.fixture(scope="session")
def folder(name: str) -> Path:
    """Of the shipped bundle."""
    return bundle_folder(name)


@pytest.fixture(scope="session")
def generator(name: str) -> NetworkGenerator:
    """The shipped bundle's."""
    loaded = load_generator(name)
    assert isinstance(loaded, NetworkGenerator)
    return loaded


@pytest.fixture(scope="session")
def samples(generator: NetworkGenerator) -> dict[int | None, dict[str, Tensor]]:
    """Class id (None: without classes) -> samples of ``SEEDS``."""
    return {number: generator.sample(SEEDS, number) for number in generator.spec.classes or (None,)}
