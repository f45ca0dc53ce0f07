# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, ResizeWithPadOrCropd

from monai_genaug.transforms import FieldOfView, FieldOfViewD, FieldOfViewd, FieldOfViewDict


def test_padding_shows() -> None:
    chain = Compose([FieldOfViewd("image"), ResizeWithPadOrCropd(["image", "observed"], (6, 6))])
    item = {"image": torch.rand(2, 4, 8)}
    padded = chain(item)
    assert padded["observed"].shape == (1, 6, 6)
    assert padded["observed"].sum() == 4 * 6
    assert (padded["observed"][0, 1:5] == 1).all()
    assert set(item) == {"image"}


def test_meta_data_and_types() -> None:
    image = MetaTensor(torch.rand(1, 3, 3), affine=torch.diag(torch.tensor([2.0, 3.0, 1.0])))
    made = FieldOfView()(image)
    assert isinstance(made, MetaTensor)
    assert torch.equal(made.affine, image.affine)
    plain = FieldOfView()(np.zeros((1, 3, 3), dtype=np.int16))
    assert type(plain) is torch.Tensor
    assert plain.dtype == torch.float32


def test_keys() -> None:
    assert FieldOfViewD is FieldOfViewDict is FieldOfViewd
    with pytest.raises(ValueError, match="exactly one"):
        FieldOfViewd(["a", "b"])
    with pytest.raises(KeyError):
        FieldOfViewd("image")({})
    assert FieldOfViewd("image", allow_missing_keys=True)({}) == {}
