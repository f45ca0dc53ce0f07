# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from monai_genaug.data.batch_keys import BatchKeys
from monai_genaug.networks import ConditionalVAE
from tests.toy_families import family_network, pictures

CPU = torch.device("cpu")


def batch(**changes: Any) -> dict[str, Any]:
    return {"image": pictures(3), "y": torch.tensor([1, 0, 1]), "seen": torch.ones(3, 1, 8, 8).byte(), **changes}


def test_reads_image_class_and_observed() -> None:
    network = family_network("conditional_vae")
    x, observed = BatchKeys("image", None, "seen", "y").read(batch(), network, CPU)
    assert torch.equal(x, network.join(pictures(3), None, torch.tensor([1, 0, 1])))
    assert observed is not None
    assert observed.dtype == torch.float32
    assert BatchKeys("image", label="y").read(batch(), network, CPU)[1] is None


@pytest.mark.parametrize(
    "labels",
    [
        torch.tensor([[1], [0], [1]]),
        torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64),
        np.array([1, 0, 1], dtype=np.uint8),
        torch.tensor([True, False, True]),
    ],
)
def test_classes_come_in_any_form(labels: Any) -> None:
    network = family_network("conditional_vae")
    x, _ = BatchKeys("image", label="y").read(batch(y=labels), network, CPU)
    assert torch.equal(x[:, 2, 0, 0], torch.tensor([1.0, 0.0, 1.0]))


def test_reads_masks_with_classes() -> None:
    network = ConditionalVAE(2, (8, 8), 2, mask_classes=3, latent_dim=2, channels=(4,))
    mask = torch.arange(3).view(3, 1, 1, 1).expand(-1, 1, 8, 8)
    x, _ = BatchKeys("image", "label", None, "y").read(batch(label=mask), network, CPU)
    assert torch.equal(x[:, 1:, 0, 0], torch.tensor([[1, 0, 0, 0, 1], [0, 1, 0, 1, 0], [0, 0, 1, 0, 1]]).float())


@pytest.mark.parametrize(
    ("kind", "keys", "words"),
    [
        ("conditional_vae", BatchKeys("image"), "n_classes is 2, the classes are missing"),
        ("joint_vae", BatchKeys("image", label="y"), "n_classes is 0, the classes are given"),
        ("conditional_vae", BatchKeys("image", "seen", None, "y"), "mask_classes is 0, the mask is given"),
    ],
)
def test_keys_that_do_not_fit_the_network(kind: str, keys: BatchKeys, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        keys.read(batch(), family_network(kind), CPU)


def test_bad_classes_and_missing_keys_are_named() -> None:
    network, keys = family_network("conditional_vae"), BatchKeys("image", label="y")
    with pytest.raises(KeyError, match=r"no 'y'; its keys are \['image'\]"):
        keys.read({"image": pictures(3)}, network, CPU)
    with pytest.raises(ValueError, match="classes lie from 0 to 2, allowed: 0 to 1"):
        keys.read(batch(y=torch.tensor([0, 1, 2])), network, CPU)
    with pytest.raises(ValueError, match=r"classes are \(2,\), needed: \(3,\)"):
        keys.read(batch(y=torch.tensor([0, 1])), network, CPU)
    with pytest.raises(ValueError, match=r"classes are \[0\.5, 1\.0, 0\.0\], allowed: whole numbers"):
        keys.read(batch(y=torch.tensor([0.5, 1, 0])), network, CPU)
    with pytest.raises(dataclasses.FrozenInstanceError):
        keys.image = "other"  # type: ignore[misc]
