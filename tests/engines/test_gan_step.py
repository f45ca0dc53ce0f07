# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch
from torch import nn

from monai_genaug.engines.gan_step import average_over_ranks, moving_average, only_inputs, seeded

CPU = torch.device("cpu")


def test_seeded_numbers_are_torch_s_and_leave_no_trace() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2**62 + 5)
        expected = torch.rand(3)
    before = torch.get_rng_state()
    with seeded(2**62 + 5, CPU):
        assert torch.equal(torch.rand(3), expected)
    with pytest.raises(RuntimeError), seeded(1, CPU):
        torch.rand(3) @ torch.rand(2)
    assert torch.equal(torch.get_rng_state(), before)


def test_seeded_numbers_of_the_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    device = torch.device("cuda")
    before = torch.cuda.get_rng_state(device)
    drawn = []
    for _ in range(2):
        with seeded(3, device):
            drawn.append(torch.rand(3, device=device))
    assert torch.equal(*drawn)
    assert torch.equal(torch.cuda.get_rng_state(device), before)


def test_gradients_pass_a_module_that_keeps_none() -> None:
    module, x = nn.Linear(2, 1), torch.ones(1, 2, requires_grad=True)
    module.bias.requires_grad_(False)
    with only_inputs(module):
        module(x).sum().backward()
    assert torch.equal(x.grad, module.weight)
    assert module.weight.grad is None
    with pytest.raises(KeyboardInterrupt), only_inputs(module):
        raise KeyboardInterrupt
    assert (module.weight.requires_grad, module.bias.requires_grad) == (True, False)


def test_the_average_starts_at_the_first_weights_and_warms_up() -> None:
    network = nn.BatchNorm1d(1)
    average = moving_average(network, 0.9)
    values = [5.0, 7.0, -1.0]
    for count, value in enumerate(values):
        with torch.no_grad():
            network.weight.fill_(value)
            network.running_mean.fill_(2.0 * value)
            network.num_batches_tracked.fill_(3 + count)
        average.update_parameters(network)
    after_second = 2 / 11 * 5.0 + 9 / 11 * 7.0
    expected = 3 / 12 * after_second + 9 / 12 * -1.0
    assert average.module.weight.item() == pytest.approx(expected)
    assert average.module.running_mean.item() == pytest.approx(2.0 * expected)
    assert average.module.num_batches_tracked.item() == 5
    assert not average.module.training


@pytest.mark.parametrize("decay", [-0.1, 1.0, float("nan")])
def test_bad_decays_are_named(decay: float) -> None:
    with pytest.raises(ValueError, match=f"ema_decay is {decay}, allowed"):
        moving_average(nn.Linear(1, 1), decay)


def test_alone_the_norm_is_that_of_all_gradients() -> None:
    parameters = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))]
    parameters[0].grad, parameters[1].grad = torch.tensor([3.0, 4.0]), torch.tensor([12.0])
    assert average_over_ranks(parameters, torch.tensor(0.5)) == (0.5, 13.0)
