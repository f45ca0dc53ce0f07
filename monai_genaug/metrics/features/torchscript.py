# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Features of a network in a TorchScript file."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch

from monai_genaug._help import docs_link
from monai_genaug.metrics.features.module import ModuleFeatures

__all__ = ["TorchScriptFeatures"]


class TorchScriptFeatures(ModuleFeatures):
    """Output of a network that was saved by ``torch.jit.save``.

    **Such a file is a program, and reading it runs it**: give ``trust=True`` for files whose origin you know.
    StyleGAN's feature networks are published like this; torch itself no longer develops the format.

    Args:
        path: the file.
        trust: whether to read it.
        size, in_channels, mean, std, batch_size: as in :class:`ModuleFeatures`.

    Raises:
        ValueError: ``trust`` is not set, or a network that gives no rows of features.
        FileNotFoundError: no such file.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        trust: bool = False,
        size: Sequence[int] = (224, 224),
        in_channels: int = 3,
        mean: float | Sequence[float] = 0.0,
        std: float | Sequence[float] = 1.0,
        batch_size: int = 32,
    ) -> None:
        file = Path(path)
        if not file.is_file():
            raise FileNotFoundError(f"{file} does not exist.")
        if not trust:
            raise ValueError(
                f"{file} holds code that runs when it is read: give trust=True if you know its origin; see "
                f"{docs_link('security', 'what-is-executed')}."
            )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`torch.jit.load` is deprecated", FutureWarning)
            module = torch.jit.load(str(file), map_location="cpu")
        super().__init__(module, None, size, in_channels, mean, std, batch_size, name=file.stem)
