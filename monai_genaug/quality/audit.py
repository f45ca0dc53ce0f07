# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The privacy audit of a generator: does it give away the items that it was trained on?"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from monai_genaug.generators import LatentGenerator, SampleGenerator, content_hash, derive_seed
from monai_genaug.quality.audit_checks import CHECKS_PER_SCOPE, ClassEvidence, checks_of
from monai_genaug.quality.audit_items import AuditItems, audited_output, check_audit_items, separated
from monai_genaug.quality.audit_report import AuditReport, AuditThresholds, ClosePair
from monai_genaug.quality.centroids import manifold_centroids
from monai_genaug.quality.data_copying import data_copying_score
from monai_genaug.quality.membership import reconstruction_scores
from monai_genaug.quality.nearest import mirrored
from monai_genaug.quality.pixel_features import PixelThumbnails

__all__ = ["Extractor", "audit", "audit_seeds", "unit_features"]

Extractor = Callable[[Tensor], Tensor]
"""Images ``(n, C, *spatial)`` with values in [0, 1] -> features ``(n, F)``."""

_CHUNK = 256  # images whose features are computed together
_PAIRS = 8
_ENCODED = 500  # items of each part and class whose reconstruction is looked at, at most


def audit(
    generator: SampleGenerator,
    train: AuditItems,
    held_out: AuditItems,
    n_samples: int = 500,
    extractor: Extractor | None = None,
    thresholds: AuditThresholds | None = None,
    seed: int = 0,
) -> AuditReport:
    """Measures whether samples, and a generator itself, give away its training items.

    Every check asks for the difference between training items and held-out ones, which must come from the same source
    and must not have been used to train. Items that occur in both parts, exactly or nearly, are left out. Samples are
    drawn in equal numbers per class and compared within their class, as they are and mirrored. A check fails if its
    effect is above its threshold and significant; the significance is divided by the number of checks (Bonferroni).
    Passing means that none of these attacks succeeds, not that none can.

    Args:
        generator: to be audited.
        train: the items that it was trained on, in its space.
        held_out: items that it was not trained on, in its space.
        n_samples: samples in all; smaller effects are found with more of them.
        extractor: features in which distances are measured; None for :class:`PixelThumbnails`.
        thresholds: None for the default ones.
        seed: of samples and permutations.

    Raises:
        ValueError: items that are not in the generator's space, a subject in both parts, classes without items, or
            fewer samples than classes.
    """
    spec, limits = generator.spec, thresholds or AuditThresholds()
    extract = extractor or PixelThumbnails()
    classes: list[int | None] = [None] if spec.classes is None else list(spec.classes)
    if n_samples < len(classes):
        raise ValueError(f"n_samples is {n_samples}, needed: at least one for each of the {len(classes)} classes.")
    for part, items in (("train", train), ("held_out", held_out)):
        check_audit_items(items, spec, part)
    places, references, others, n_shared = _references(train, held_out, generator)
    hashes = set(_content_hashes(train.outputs[audited_output(spec)], generator))
    evidence = {
        number: _class_evidence(generator, number, references, others, hashes, extract, n_samples // len(classes), seed)
        for number in classes
    }
    names = {number: "all" if number is None else (spec.classes or {})[number] for number in classes}
    scopes = {"all": list(evidence.values())}
    if len(classes) > 1:
        scopes |= {names[number]: [one] for number, one in evidence.items()}
    level = limits.significance / (CHECKS_PER_SCOPE * len(scopes))
    checks = [check for scope, parts in scopes.items() for check in checks_of(scope, parts, limits, level, seed)]
    pairs = [pair for number, one in evidence.items() for pair in _closest(one, number, places)]
    return AuditReport(
        generator=spec.name,
        sha256=spec.sha256,
        extractor=str(getattr(extract, "name", type(extract).__name__)),
        seed=seed,
        n_samples=sum(len(one.seeds) for one in evidence.values()),
        n_train=len(references),
        n_held_out=len(others),
        n_shared=n_shared,
        thresholds=limits,
        checks=tuple(checks),
        data_copying={
            names[number]: data_copying_score(one.samples[0], one.train, one.held_out[0], seed=seed)
            for number, one in evidence.items()
        },
        pairs=tuple(sorted(pairs, key=lambda pair: pair.ratio)[:_PAIRS]),
    )


def audit_seeds(seed: int, number: int | None, count: int) -> list[int]:
    """Seeds of the samples of a class (None: without classes) that an audit with ``seed`` looks at."""
    return [derive_seed("audit", seed, -1 if number is None else number, i) for i in range(count)]


@torch.no_grad()
def unit_features(images: Tensor, value_range: tuple[float, float], extractor: Extractor) -> Tensor:
    """Features ``(n, F)`` on the CPU, of images that are scaled from ``value_range`` to [0, 1]."""
    low, high = value_range
    parts = [
        extractor(((chunk.float() - low) / (high - low)).clamp(0.0, 1.0)).detach().cpu()
        for chunk in images.split(_CHUNK)
    ]
    return torch.cat(parts)


def _references(
    train: AuditItems, held_out: AuditItems, generator: SampleGenerator
) -> tuple[Tensor, AuditItems, AuditItems, int]:
    """Places of the training items that are compared, these items, the held-out ones, and how many were left out."""
    if train.subjects is not None and held_out.subjects is not None:
        both = sorted(set(train.subjects) & set(held_out.subjects))
        if both:
            raise ValueError(f"subjects {both[:5]} are in both parts: their items are not held out.")
    numbered = AuditItems({**train.outputs, "place": torch.arange(len(train))}, train.labels, train.subjects)
    references, others, n_shared = separated(numbered, held_out, generator.spec)
    for part, items in (("train", references), ("held_out", others)):
        check_audit_items(items, generator.spec, part)
    return references.outputs["place"], references, others, n_shared


def _class_evidence(
    generator: SampleGenerator,
    number: int | None,
    train: AuditItems,
    held_out: AuditItems,
    hashes: set[str],
    extract: Extractor,
    count: int,
    seed: int,
) -> ClassEvidence:
    """Samples of a class and everything that they are compared with."""
    name = audited_output(generator.spec)
    value_range = generator.spec.outputs[name].value_range

    def views(images: Tensor) -> list[Tensor]:
        return [unit_features(view, value_range, extract) for view in mirrored(images)]

    seeds = audit_seeds(seed, number, count)
    images = generator.sample(seeds, number)[name].cpu()
    own, others = train.take(train.rows_of(number)), held_out.take(held_out.rows_of(number))
    decoded = _decoded_centroids(generator, number, count, seed)
    return ClassEvidence(
        seeds=seeds,
        exact=torch.tensor([found in hashes for found in _content_hashes(images, generator)]),
        samples=views(images),
        train=unit_features(own.outputs[name], value_range, extract),
        held_out=views(others.outputs[name]),
        subjects=_subject_numbers(own, others),
        rows=train.rows_of(number),
        reconstruction=_reconstruction(generator, own, others, number, seed),
        centroids=None if decoded is None else views(decoded),
    )


def _subject_numbers(train: AuditItems, held_out: AuditItems) -> tuple[Tensor, Tensor]:
    parts = [list(items.subjects or ()) for items in (train, held_out)]
    numbers = {subject: i for i, subject in enumerate(dict.fromkeys([*parts[0], *parts[1]]))}
    first, second = (torch.tensor([numbers[subject] for subject in part]) for part in parts)
    return first, second


def _decoded_centroids(generator: SampleGenerator, number: int | None, count: int, seed: int) -> Tensor | None:
    """Images at the centroids that a generator stores for a class; None if it stores none."""
    if not isinstance(generator, LatentGenerator):
        return None
    codes = manifold_centroids(generator, number, count, seed)
    return None if codes is None else generator.decode(codes, number)[audited_output(generator.spec)].cpu()


def _reconstruction(
    generator: SampleGenerator, train: AuditItems, held_out: AuditItems, number: int | None, seed: int
) -> tuple[Tensor, Tensor] | None:
    """Scores of members and others by the encoder; None without an encoder, or without what it reads."""
    if not isinstance(generator, LatentGenerator) or not set(generator.spec.encodes) <= set(train.outputs):
        return None
    scores = []
    for items in (train, held_out):
        order = torch.randperm(len(items), generator=torch.Generator().manual_seed(seed))
        some = items.take(order[:_ENCODED])
        labels = None if number is None else [number] * len(some)
        batch = {name: values for name, values in some.outputs.items() if name in generator.spec.outputs}
        scores.append(reconstruction_scores(generator, batch, labels))
    return scores[0], scores[1]


def _closest(evidence: ClassEvidence, number: int | None, places: Tensor) -> list[ClosePair]:
    ranked = evidence.ranked
    best = ranked.ratios.argsort()[:_PAIRS].tolist()
    return [
        ClosePair(
            seed=evidence.seeds[row],
            class_id=number,
            train_index=int(places[evidence.rows[ranked.nearest_train[row]]]),
            distance=float(ranked.to_train[row]),
            ratio=float(ranked.ratios[row]),
        )
        for row in best
        if math.isfinite(float(ranked.ratios[row])) and int(ranked.nearest_train[row]) >= 0
    ]


def _content_hashes(images: Tensor, generator: SampleGenerator) -> list[str]:
    value_range = generator.spec.outputs[audited_output(generator.spec)].value_range
    return [content_hash(image, value_range) for image in images]
