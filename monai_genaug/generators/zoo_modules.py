# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs the code of a third-party bundle so that nothing of it is seen outside, or by another bundle."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import monai.inferers
import monai.losses
import monai.metrics
import monai.networks.nets
import monai.networks.schedulers
import torch
from monai.utils import misc

from monai_genaug.generators.process_lock import GLOBAL_STATE

__all__ = ["BundleModules"]

_SUCCESSORS = {
    "generative": monai,
    "generative.inferers": monai.inferers,
    "generative.losses": monai.losses,
    "generative.metrics": monai.metrics,
    "generative.networks": monai.networks,
    "generative.networks.nets": monai.networks.nets,
    "generative.networks.schedulers": monai.networks.schedulers,
}
"""Modules of GenerativeModels, which became part of MONAI."""


class BundleModules:
    """The Python modules of one bundle: its ``scripts`` and whatever else can be imported from its folder.

    Two bundles with ``scripts`` in one process see their own each, and a process that has a ``scripts`` of its own
    keeps it.

    Args:
        folder: of the bundle.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names = module_names(folder) | {"generative"}
        self._modules: dict[str, ModuleType] = dict(_SUCCESSORS)

    @contextmanager
    def active(self) -> Iterator[None]:
        """A block in which the bundle's modules are the importable ones; one such block at a time in a process.

        Nothing is written next to the sources, and compiled files that lie there are not read: what runs is the text
        that was trusted. Switches of torch and MONAI that ``set_determinism`` turns are turned back.
        """
        with GLOBAL_STATE.held():
            outside = {name: sys.modules.pop(name) for name in list(sys.modules) if self._is_ours(name)}
            path, caching = list(sys.path), (sys.dont_write_bytecode, sys.pycache_prefix)
            switches = _switches()
            sys.modules.update(self._modules)
            sys.path.insert(0, str(self._folder))
            sys.dont_write_bytecode, sys.pycache_prefix = True, os.devnull
            try:
                yield
            finally:
                self._modules = {name: sys.modules.pop(name) for name in list(sys.modules) if self._is_ours(name)}
                sys.modules.update(outside)
                sys.path[:] = path
                sys.dont_write_bytecode, sys.pycache_prefix = caching
                _restore(switches)

    def _is_ours(self, name: str) -> bool:
        return name.partition(".")[0] in self._names


def module_names(folder: Path) -> set[str]:
    """What ``import`` would find at the top of a folder."""
    files = {path.name.partition(".")[0] for path in folder.glob("*") if path.suffix in (".py", ".pyc", ".so", ".pyd")}
    return files | {path.parent.name for path in folder.glob("*/*.py")}


def _switches() -> tuple[Any, ...]:
    return (
        torch.backends.cudnn.deterministic,
        torch.backends.cudnn.benchmark,
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.get_default_dtype(),
        misc._seed,
        misc._flag_deterministic,
        misc._flag_cudnn_benchmark,
    )


def _restore(switches: tuple[Any, ...]) -> None:
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = switches[:2]
    torch.use_deterministic_algorithms(switches[2], warn_only=switches[3])
    torch.set_default_dtype(switches[4])
    misc._seed, misc._flag_deterministic, misc._flag_cudnn_benchmark = switches[5:]
