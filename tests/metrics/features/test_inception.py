# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torchvision.models import inception_v3

from monai_genaug.metrics import InceptionFeatures
from monai_genaug.weights import WeightsMismatchError, save_weights


def test_local_weights_give_the_pooled_features_of_torchvision(tmp_path: Path) -> None:
    path = tmp_path / "inception.pt"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        reference = inception_v3(weights=None, init_weights=False, transform_input=True).eval()
    save_weights(reference.state_dict(), path)
    before = torch.get_rng_state()
    extract = InceptionFeatures(path)
    assert torch.equal(torch.get_rng_state(), before)
    assert (extract.name, extract.n_features) == ("inception", 2048)
    image = torch.rand(1, 3, 299, 299)
    caught: list[torch.Tensor] = []
    reference.avgpool.register_forward_hook(lambda *called: caught.append(called[2].flatten(1)))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        reference((image - mean.view(3, 1, 1)) / std.view(3, 1, 1))  # what torchvision's weights are called with
    torch.testing.assert_close(extract(image), caught[0], atol=1e-5, rtol=1e-3)


def test_other_weights_are_refused(tmp_path: Path) -> None:
    save_weights({"fc.weight": torch.zeros(2, 2)}, tmp_path / "other.pt")
    with pytest.raises(WeightsMismatchError, match=r"other\.pt"):
        InceptionFeatures(tmp_path / "other.pt")
