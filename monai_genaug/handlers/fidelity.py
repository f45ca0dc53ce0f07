# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""How close samples are to real images, measured while training."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from ignite.engine import Engine, Events
from monai.networks.utils import eval_mode
from monai.utils import evenly_divisible_all_gather
from torch import Tensor

from monai_genaug.generators import SampleGenerator, current_rank, derive_seed
from monai_genaug.latent.draws import standard_normal
from monai_genaug.metrics.checks import check_feature_table
from monai_genaug.metrics.feature_values import check_feature_metrics, feature_metric_values
from monai_genaug.metrics.features import FeatureExtractor
from monai_genaug.networks import LatentDecoder

__all__ = ["FidelityHandler"]


class FidelityHandler:
    """Writes Frechet distance, precision, recall or others into ``engine.state.metrics`` every few epochs.

    The seeds are always the same, so that epochs differ by their weights alone. As long as the network's latent
    distribution isn't fitted, codes are drawn from the prior. Of a GAN the averaged generator is measured. With a
    process group each rank makes its share of the samples, and all get the values. The last epoch is always measured.

    At the start of the next epoch the values are taken away: where they stand, they are of this epoch. Attach it
    before what reads them: logs, TensorBoard, :class:`~monai_genaug.handlers.snapshot_choice.SnapshotChooser`. A GAN
    logs them by ``EpochCsvLog(path, optimizer, evaluator=trainer)``.

    Args:
        source: the network; or a function that makes a generator from the engine, whose output ``image`` is measured.
        extractor: of the features.
        real_features: its features ``(n, d)`` of real images, of held-out ones or of the training part.
        metrics: of :data:`~monai_genaug.metrics.feature_values.FEATURE_METRICS`.
        interval: epochs between measurements.
        count: samples; None for as many as real images, which makes values comparable with those of real halves.
        classes: class ids that the samples go through in turn, such as the classes of the real images, which gives
            both sets the same mix; None for all classes in turn.
        seed: of the samples.
        batch_size: samples made at once.
        evaluator: an engine whose ``state.metrics`` gets the values, too; for logs that read those of an evaluator.

    Raises:
        ValueError: metrics that don't exist, features of another size, an interval, count or batch size that is too
            small, or classes for a network without any.

    Example::

        extract = MedicalFeatures(spatial_dims=2)
        FidelityHandler(generator, extract, extract(real_images), interval=5).attach(trainer)
    """

    def __init__(
        self,
        source: LatentDecoder | Callable[[Engine], SampleGenerator],
        extractor: FeatureExtractor,
        real_features: Tensor,
        metrics: Sequence[str] = ("frechet_distance", "precision", "recall"),
        interval: int = 5,
        count: int | None = None,
        classes: Sequence[int] | None = None,
        seed: int = 0,
        batch_size: int = 64,
        evaluator: Engine | None = None,
    ) -> None:
        check_feature_metrics(metrics)
        check_feature_table(real_features, "real", at_least=2)
        if real_features.shape[1] != extractor.n_features:
            raise ValueError(
                f"real features have size {real_features.shape[1]}, those of {extractor.name!r} {extractor.n_features}."
            )
        count = len(real_features) if count is None else count
        if interval < 1 or count < 2 or batch_size < 1:
            raise ValueError(
                f"interval={interval}, count={count}, batch_size={batch_size}: allowed are 1, 2, 1 and more."
            )
        if isinstance(source, LatentDecoder) and classes is not None and not source.n_classes:
            raise ValueError(f"classes are {list(classes)[:5]}, but {type(source).__name__} has none.")
        self.source, self.extractor, self.real_features = source, extractor, real_features
        self.metrics, self.interval, self.count = tuple(metrics), interval, count
        self.classes = None if classes is None else [int(number) for number in classes]
        self.seed, self.batch_size, self.evaluator = seed, batch_size, evaluator

    def attach(self, engine: Engine) -> None:
        """Attaches to a trainer."""
        engine.add_event_handler(Events.EPOCH_STARTED, self.forget)
        engine.add_event_handler(Events.EPOCH_COMPLETED(event_filter=self._is_due), self)

    def __call__(self, engine: Engine) -> None:
        """Measures; all ranks must call it."""
        mine = range(current_rank(), self.count, _world_size())
        chunks = [mine[start : start + self.batch_size] for start in range(0, len(mine), self.batch_size)]
        rows = [self._features(engine, numbers) for numbers in chunks]
        device = self.real_features.device
        table = torch.cat([row.to(device) for row in rows]) if rows else self.real_features[:0].float()
        synthetic: Tensor = evenly_divisible_all_gather(table)
        values = feature_metric_values(self.real_features, synthetic, self.metrics)
        for state in self._states(engine):
            state.update(values)

    def forget(self, engine: Engine) -> None:
        """Takes the values of an earlier epoch away."""
        for state in self._states(engine):
            for name in self.metrics:
                state.pop(name, None)

    def _is_due(self, engine: Engine, epoch: int) -> bool:
        return epoch % self.interval == 0 or epoch == engine.state.max_epochs

    def _states(self, engine: Engine) -> list[dict[str, float]]:
        engines = [engine] if self.evaluator is None else [engine, self.evaluator]
        return [one.state.metrics for one in engines]

    def _features(self, engine: Engine, numbers: Sequence[int]) -> Tensor:
        seeds = [derive_seed("fidelity", self.seed, number) for number in numbers]
        if isinstance(self.source, LatentDecoder):
            network: LatentDecoder = getattr(engine, "averaged", self.source)
            labels = self._labels(numbers, range(network.n_classes))
            return self.extractor(_decoded(network, seeds, labels))
        generator = self.source(engine)
        labels = self._labels(numbers, list(generator.spec.classes or ()))
        images = generator.sample(seeds, labels)["image"]
        return self.extractor(images, generator.spec.outputs["image"].value_range)

    def _labels(self, numbers: Sequence[int], known: Sequence[int]) -> list[int] | None:
        order = self.classes or known
        return [order[number % len(order)] for number in numbers] if known else None


def _decoded(network: LatentDecoder, seeds: Sequence[int], labels: Sequence[int] | None) -> Tensor:
    """Images ``(n, c, *spatial)`` in [0, 1] of a network that may still be in training."""
    if network.latent.is_fitted:
        z = network.draw_latent(seeds, labels)
    else:
        z = standard_normal(seeds, network.latent_dim).float()
    device = next(network.parameters()).device
    code = network.with_class(z, None if labels is None else torch.tensor(labels, device=z.device))
    with eval_mode(network):
        images: Tensor = network(code.to(device))[:, : network.image_channels].float()
    return images


def _world_size() -> int:
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    return torch.distributed.get_world_size() if distributed else 1
