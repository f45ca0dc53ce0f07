# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from monai_genaug.quality.membership import membership_inference, membership_scores, reconstruction_scores
from tests.toy import toy_generator

ATTACKS = ("distance", "monte_carlo", "density_ratio")


def table(count: int, seed: int, width: int = 4) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("attack", ATTACKS)
def test_replayed_members_are_recognised_and_honest_samples_give_nothing_away(attack) -> None:
    members, others = table(150, 0), table(100, 1)
    replayed = membership_inference([membership_scores(members, others, members + 0.02 * table(150, 2), attack)])
    assert replayed.auc > 0.9
    assert replayed.tpr > 0.5
    assert replayed.p_value < 1e-6
    honest = membership_inference([membership_scores(members, others, table(150, 3), attack)])
    assert honest.interval[0] < 0.5 < honest.interval[1]
    assert honest.p_value > 0.01


def test_scores_are_those_of_the_formulas() -> None:
    members, others, samples = table(5, 0), table(4, 1), table(30, 2)
    items = torch.cat([members, others]).double()
    distances = torch.cdist(items, samples.double())
    nearest = distances.amin(dim=1)
    assert torch.allclose(torch.cat(membership_scores(members, others, samples)), -nearest)
    epsilon = nearest.median()
    inside = torch.where(distances <= epsilon, -(distances / epsilon).log(), 0.0).sum(dim=1)
    assert torch.allclose(torch.cat(membership_scores(members, others, samples, "monte_carlo")), inside)
    other = (torch.cdist(items, items) + 1e9 * torch.eye(9)).amin(dim=1)
    ratio = torch.cat(membership_scores(members, others, samples, "density_ratio"))
    assert torch.allclose(ratio, (other / nearest).log(), atol=1e-2)


def test_items_of_the_same_subject_are_no_other_items() -> None:
    members, others = table(6, 0), table(6, 1)
    members[1] = members[0] + 1e-3
    subjects = (torch.tensor([0, 0, 2, 3, 4, 5]), torch.arange(6, 12))
    alone, _ = membership_scores(members, others, table(20, 2), "density_ratio")
    grouped, _ = membership_scores(members, others, table(20, 2), "density_ratio", subjects)
    assert (grouped[:2] > alone[:2] + 1).all()
    assert torch.allclose(grouped[2:], alone[2:])


def test_area_is_that_of_scikit_learn_and_weighted_over_classes() -> None:
    classes = [(table(50, 0)[:, 0] + 0.5, table(30, 1)[:, 0]), (table(25, 2)[:, 0], table(10, 3)[:, 0])]
    areas = [roc_auc_score(np.r_[np.ones(len(a)), np.zeros(len(b))], torch.cat([a, b]).numpy()) for a, b in classes]
    assert membership_inference(classes).auc == pytest.approx((50 * areas[0] + 25 * areas[1]) / 75)
    assert membership_inference([(torch.ones(5), torch.ones(7))]).auc == 0.5  # ties


def test_delong_interval_covers_the_true_area() -> None:
    # members N(1, 1), others N(0, 1): the area is Phi(1 / sqrt 2)
    true = float(torch.distributions.Normal(0.0, 1.0).cdf(torch.tensor(0.5).sqrt()))
    generator = torch.Generator().manual_seed(0)
    hits, lengths, areas = 0, [], []
    for _ in range(300):
        found = membership_inference(
            [(torch.randn(40, generator=generator) + 1, torch.randn(30, generator=generator))], n_resamples=2
        )
        hits += found.interval[0] <= true <= found.interval[1]
        lengths.append((found.interval[1] - found.interval[0]) / (2 * 1.96))
        areas.append(found.auc)
    assert 0.91 <= hits / 300 <= 0.98
    assert np.mean(lengths) == pytest.approx(np.std(areas), rel=0.1)


def test_tpr_is_taken_at_one_percent_of_false_alarms() -> None:
    others = torch.arange(200.0)  # two of them may lie above the threshold
    members = torch.tensor([197.5, 198.0, 199.0, 250.0])
    found = membership_inference([(members, others)])
    assert found.tpr == 1.0
    assert membership_inference([(members - 1, others)]).tpr == 0.5
    low, high = found.tpr_interval
    assert 0 <= low <= found.tpr <= high <= 1


def test_the_bootstrap_is_repeatable() -> None:
    scores = [(table(30, 0)[:, 0] + 1, table(30, 1)[:, 0])]
    first, again, other = (membership_inference(scores, seed, n_resamples=20) for seed in (3, 3, 5))
    assert first == again
    assert first.tpr_interval != other.tpr_interval


def test_perfect_attacks_have_no_spread() -> None:
    found = membership_inference([(torch.arange(5.0) + 10, torch.arange(5.0))])
    assert (found.auc, found.interval, found.p_value) == (1.0, (1.0, 1.0), 0.0)


def test_reconstruction_error_is_the_root_mean_square() -> None:
    generator = toy_generator((8, 8), mask=False, classes=["a", "b"])
    batch = {"image": generator.sample(range(4), [0, 1, 0, 1])["image"]}
    rebuilt = generator.reconstruct(batch, [0, 1, 0, 1])["image"]
    expected = -(rebuilt - batch["image"]).double().square().flatten(1).mean(dim=1).sqrt()
    assert torch.allclose(reconstruction_scores(generator, batch, [0, 1, 0, 1]), expected)


def test_what_cannot_be_attacked_is_refused() -> None:
    with pytest.raises(ValueError, match=r"attack is 'guess', allowed: \('distance', 'monte_carlo', 'density_ratio'"):
        membership_scores(table(2, 0), table(2, 1), table(2, 2), "guess")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"classes have \[\(3, 0\)\] members and non-members"):
        membership_inference([(torch.ones(3), torch.ones(0))])
