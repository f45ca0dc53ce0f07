# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from monai_genaug.metrics import ModuleFeatures, TorchScriptFeatures


def test_equals_the_module_and_asks_for_trust(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()).eval()
    path = tmp_path / "judge.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.jit.save(torch.jit.script(module), path)
    with pytest.raises(ValueError, match="trust=True"):
        TorchScriptFeatures(path)
    with pytest.raises(FileNotFoundError, match=r"nothing\.pt"):
        TorchScriptFeatures(tmp_path / "nothing.pt", trust=True)
    extract, images = TorchScriptFeatures(path, trust=True, size=(8, 8)), torch.rand(3, 1, 12, 12)
    assert (extract.name, extract.n_features) == ("judge", 144)
    torch.testing.assert_close(extract(images), ModuleFeatures(module, None, (8, 8))(images))
