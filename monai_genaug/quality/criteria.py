# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Criteria that accept or reject single samples."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from monai_genaug.metrics.balls import squared_radii
from monai_genaug.metrics.blocks import distance_tiles, mean_row
from monai_genaug.metrics.checks import check_feature_table, check_neighbours
from monai_genaug.quality.audit import Extractor, unit_features
from monai_genaug.quality.nearest import mirrored, nearest_items
from monai_genaug.weights import state_sha256

__all__ = ["ClassifierCriterion", "MemorisationCriterion", "RealismCriterion", "SampleCriterion"]

_CHUNK = 256  # samples that a classifier reads together


class SampleCriterion(ABC):
    """Accepts or rejects samples, each by itself.

    The verdict on a sample depends on nothing but the sample and its class. Where its score is nearer to the threshold
    than the rounding errors of the sample and its features, these decide.
    """

    @property
    @abstractmethod
    def identity(self) -> str:
        """A hash of everything that decides: equal for criteria that accept the same samples."""

    @abstractmethod
    def scores(self, samples: Mapping[str, Tensor], classes: Sequence[int] | None) -> Tensor:
        """What is compared with a threshold, one number per sample ``(n,)``, float64; the higher, the better.

        Args:
            samples: output name -> ``(n, C, *spatial)``.
            classes: the class id that each sample was asked for; None without classes.
        """

    @abstractmethod
    def accept(self, samples: Mapping[str, Tensor], classes: Sequence[int] | None) -> Tensor:
        """Which samples are accepted, bool ``(n,)``; arguments as in :meth:`scores`."""


@dataclass(frozen=True, eq=False)
class RealismCriterion(SampleCriterion):
    """Accepts samples with a realism score of at least ``threshold``, see :func:`realism_scores`.

    Args:
        real: real images ``(n, C, *spatial)``, values in ``value_range``; their features are kept, not they.
        extractor: features in which distances are measured; an ``nn.Module``, a function of a module, or an object
            with an ``identity``.
        threshold: 1 for samples inside a ball around a real image; lower ones are milder.
        k: neighbours that the balls reach to.
        output: name of the images.
        value_range: of the images.

    Raises:
        ValueError: no threshold above 0, an extractor without identity, or too few real images.
    """

    real: InitVar[Tensor]
    extractor: Extractor
    threshold: float = 1.0
    k: int = 3
    output: str = "image"
    value_range: tuple[float, float] = (0.0, 1.0)
    _identity: str = field(init=False, repr=False)
    _balls: tuple[Tensor, Tensor] = field(init=False, repr=False)

    def __post_init__(self, real: Tensor) -> None:
        if not self.threshold > 0.0:
            raise ValueError(f"threshold is {self.threshold}, allowed: above 0.")
        features = unit_features(real, self.value_range, self.extractor)
        check_neighbours(self.k, real=features)
        radii = squared_radii(features, self.k)
        kept = radii <= radii.quantile(0.5)  # as in realism_scores
        if not bool(radii[kept].max() > 0):
            raise ValueError(f"at least half of the {len(features)} real images have k={self.k} equal others.")
        settings = [self.threshold, self.k, self.output, self.value_range, _extractor_identity(self.extractor)]
        object.__setattr__(self, "_identity", _digest("realism", settings, features))
        object.__setattr__(self, "_balls", (features[kept], radii[kept]))

    @property
    def identity(self) -> str:
        """See :attr:`SampleCriterion.identity`."""
        return self._identity

    def scores(self, samples: Mapping[str, Tensor], classes: Sequence[int] | None) -> Tensor:
        """Realism; infinite for copies of real images."""
        real, radii = self._balls
        features = unit_features(samples[self.output], self.value_range, self.extractor)
        check_feature_table(features, "synthetic", at_least=1)
        best = torch.zeros(len(features), dtype=torch.float64)
        for rows, cols, squared in distance_tiles(real, features, mean_row(real)):
            ratios = (radii[rows, None] / squared).masked_fill_(squared == 0, torch.inf)
            best[cols] = torch.maximum(best[cols], ratios.amax(dim=0))
        return best.sqrt()

    def accept(self, samples: Mapping[str, Tensor], classes: Sequence[int] | None) -> Tensor:
        """Which samples are realistic enough."""
        return self.scores(samples, classes) >= self.threshold


@dataclass(frozen=True, eq=False)
class ClassifierCriterion(SampleCriterion):
    """Accepts samples that a classifier finds to be of the class they were asked for.

    Args:
        network: from images ``(n, C, *spatial)`` in [0, 1] to logits ``(n, classes)`` in the order of the class ids;
            put into evaluation mode.
        confidence: smallest probability of the class, in [0, 1]; the class must have the largest one in any case.
        output: name of the images.
        value_range: of the images.

    Raises:
        ValueError: a confidence out of range.
    """

    network: nn.Module
    confidence: float = 0.5
    output: str = "image"
    value_range: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        if not 0.0 <= self.confidence <= 1.0:
            raise ValueError(f"confidence is {self.confidence}, allowed: 0 to 1.")
        self.network.eval()

    @property
    def identity(self) -> str:
        """See :attr:`SampleCriterion.identity`."""
        settings = [self.confidence, self.output, self.value_range, _extractor_identity(self.network)]
        return _digest("classifier", settings, torch.empty(0))

    def scores(self, samples: Mapping[str, Tensor], classes: Sequence[int] | None) -> Tensor:
        """Probability of the wanted class."""
        return self._probabilities(samples, classes)[0]

    def accept(self, samples: Mapping[str, Tensor], classes: Sequence[int] | None) -> Tensor:
        """Which samples are of their class, surely enough."""
        wanted, is_largest = self._probabilities(samples, classes)
        return is_largest & (wanted >= self.confidence)

    def _probabilities(self, samples: Mapping[str, Tensor], classes: Sequence[int] | None) -> tuple[Tensor, Tensor]:
        """Of the wanted class, and whether it is the largest one."""
        if classes is None:
            raise ValueError("ClassifierCriterion needs a generator with classes.")
        low, high = self.value_range
        with torch.no_grad():
            images = (samples[self.output].float() - low) / (high - low)
            logits = torch.cat([self.network(chunk) for chunk in images.split(_CHUNK)]).double().cpu()
        numbers = torch.as_tensor(classes)
        probabilities = logits.softmax(dim=1)
        return probabilities.gather(1, numbers[:, None]).squeeze(1), logits.argmax(dim=1) == numbers


@dataclass(frozen=True, eq=False)
class MemorisationCriterion(SampleCriterion):
    """Accepts samples that are no nearer than ``threshold`` to any training item, also mirrored.

    It keeps features of the training items, which, with :class:`PixelThumbnails`, are small pictures of them: give
    away what it accepted, not the criterion.

    Args:
        train: training images ``(n, C, *spatial)``, values in ``value_range``; their features are kept, not they.
        threshold: smallest distance, in features, above 0; for example a low quantile of the distances between
            held-out and training items.
        extractor: as of :class:`RealismCriterion`.
        output: name of the images.
        value_range: of the images.

    Raises:
        ValueError: no threshold above 0, or an extractor without identity.
    """

    train: InitVar[Tensor]
    threshold: float
    extractor: Extractor
    output: str = "image"
    value_range: tuple[float, float] = (0.0, 1.0)
    _identity: str = field(init=False, repr=False)
    _features: Tensor = field(init=False, repr=False)

    def __post_init__(self, train: Tensor) -> None:
        if not self.threshold > 0.0:
            raise ValueError(f"threshold is {self.threshold}, allowed: above 0.")
        features = unit_features(train, self.value_range, self.extractor)
        settings = [self.threshold, self.output, self.value_range, _extractor_identity(self.extractor)]
        object.__setattr__(self, "_identity", _digest("memorisation", settings, features))
        object.__setattr__(self, "_features", features)

    @property
    def identity(self) -> str:
        """See :attr:`SampleCriterion.identity`."""
        return self._identity

    def scores(self, samples: Mapping[str, Tensor], classes: Sequence[int] | None) -> Tensor:
        """Distance to the nearest training item."""
        views = [unit_features(view, self.value_range, self.extractor) for view in mirrored(samples[self.output])]
        return nearest_items(views, self._features).distances[:, 0]

    def accept(self, samples: Mapping[str, Tensor], classes: Sequence[int] | None) -> Tensor:
        """Which samples are far enough."""
        return self.scores(samples, classes) >= self.threshold


def _extractor_identity(extractor: Callable[..., Any]) -> str:
    """What makes an extractor what it is.

    Raises:
        ValueError: nothing is known of it but its address.
    """
    if isinstance(extractor, nn.Module):
        return f"{extractor} {state_sha256(extractor.state_dict())}"
    identity = getattr(extractor, "identity", None)
    if isinstance(identity, str):
        return identity
    name = getattr(extractor, "__qualname__", "<lambda>")
    if "<" in name:
        raise ValueError(
            f"extractor {extractor!r} has no identity, allowed: an nn.Module, a function of a module, or an object "
            "with an attribute 'identity'."
        )
    return f"{extractor.__module__}.{name}"


def _digest(kind: str, settings: Sequence[Any], features: Tensor) -> str:
    text = f"{kind} {[repr(value) for value in settings]} {state_sha256({'features': features.contiguous()})}"
    return hashlib.sha256(text.encode()).hexdigest()
