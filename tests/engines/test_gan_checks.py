# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch
from torch import nn

from monai_genaug.engines.gan_checks import check_batch_size, check_gan_networks, check_optimizer
from tests.engines.toy_gan_run import toy_networks


def test_what_fits_is_let_through() -> None:
    check_gan_networks(*toy_networks(), "label", 10.0)
    check_gan_networks(*toy_networks(0, (), norm="batch"), None, 0.0)
    check_batch_size(1, nn.Linear(2, 2), nn.InstanceNorm2d(2))
    check_batch_size(2, nn.BatchNorm2d(2))
    network = nn.Linear(2, 2)
    check_optimizer("g_optimizer", torch.optim.SGD([network.bias], lr=1.0), network)  # the rest stays as it is


def test_a_deeply_hidden_batch_norm_is_found() -> None:
    with pytest.raises(ValueError, match="batch of 1"):
        check_batch_size(1, nn.Linear(2, 2), nn.Sequential(nn.Sequential(nn.BatchNorm3d(2))))
    with pytest.raises(ValueError, match="batch of 1"):
        check_batch_size(1, toy_networks()[0])


def test_foreign_parameters_are_counted() -> None:
    network = nn.Linear(2, 2)
    optimizer = torch.optim.SGD([network.bias, *nn.Linear(1, 1).parameters()], lr=1.0)
    with pytest.raises(ValueError, match="2 of the 3 parameters of d_optimizer are not those of Linear"):
        check_optimizer("d_optimizer", optimizer, network)


def test_a_penalty_forbids_batch_norm_alone() -> None:
    check_gan_networks(*toy_networks(norm="instance"), "label", 10.0)
    with pytest.raises(ValueError, match="batch norm"):
        check_gan_networks(*toy_networks(norm="batch"), "label", 10.0)
