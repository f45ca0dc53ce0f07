# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Adversarial objectives on a discriminator's raw scores, higher for what it takes to be real.

MONAI's ``PatchAdversarialLoss`` has no Wasserstein objective and, with ``"hinge"``, puts a tanh on the scores: the
generator's gradient then vanishes where the discriminator is sure, while that of the hinge objective is -1 everywhere.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

__all__ = ["ADVERSARIAL_KINDS", "check_adversarial_kind", "discriminator_loss", "generator_loss"]

ADVERSARIAL_KINDS = ("bce", "hinge", "wasserstein")


def check_adversarial_kind(kind: str) -> None:
    """Refuses unknown objectives.

    Raises:
        ValueError: ``kind`` is none of :data:`ADVERSARIAL_KINDS`.
    """
    if kind not in ADVERSARIAL_KINDS:
        raise ValueError(f"the adversarial objective is {kind!r}, allowed: {ADVERSARIAL_KINDS}.")


def discriminator_loss(kind: str, real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """What the discriminator minimises.

    Args:
        kind: ``"bce"``, ``"hinge"`` or ``"wasserstein"``.
        real_scores, fake_scores: raw scores ``(n,)``, any real numbers.

    Returns:
        A scalar. For ``"wasserstein"`` its negative estimates the distance, once the critic is 1-Lipschitz.

    Raises:
        ValueError: an unknown kind.
    """
    check_adversarial_kind(kind)
    if kind == "bce":  # Goodfellow et al., arXiv 1406.2661, eq. 1, with D = sigmoid(score)
        return functional.softplus(-real_scores).mean() + functional.softplus(fake_scores).mean()
    if kind == "hinge":  # Miyato et al., arXiv 1802.05957, eq. 16
        return functional.relu(1.0 - real_scores).mean() + functional.relu(1.0 + fake_scores).mean()
    return fake_scores.mean() - real_scores.mean()  # Arjovsky et al., arXiv 1701.07875, eq. 2


def generator_loss(kind: str, fake_scores: Tensor) -> Tensor:
    """What the generator minimises.

    Args:
        kind: ``"bce"``, ``"hinge"`` or ``"wasserstein"``.
        fake_scores: raw scores ``(n,)``.

    Returns:
        A scalar.

    Raises:
        ValueError: an unknown kind.
    """
    check_adversarial_kind(kind)
    if kind == "bce":  # non-saturating: -log D(G(z)), arXiv 1406.2661, section 3
        return functional.softplus(-fake_scores).mean()
    return -fake_scores.mean()  # arXiv 1802.05957, eq. 17; arXiv 1701.07875, algorithm 1
