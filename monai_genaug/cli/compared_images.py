# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Features of the images that ``monai-genaug evaluate`` compares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from monai_genaug.cli.item_lists import preprocessed_items
from monai_genaug.cli.pictures import Pictures
from monai_genaug.experiments.feature_comparison import ImageFeatures
from monai_genaug.generators import SampleGenerator, SamplePool, derive_seed
from monai_genaug.metrics import FeatureExtractor, TorchScriptFeatures, feature_extractor

__all__ = ["extractor_named", "features_of_items", "features_of_samples", "some_places"]

_CHUNK = 64
_EXTRACTORS = ("medical", "random", "inception")

Item = Mapping[str, Any]


def extractor_named(name: str, spatial_dims: int, trust: bool) -> FeatureExtractor:
    """The features that are asked for.

    Args:
        name: of an extractor, or a TorchScript file.
        spatial_dims: of the images.
        trust: whether such a file may be run.

    Raises:
        ValueError: another name, one for images of other dimensions, or a file that isn't trusted.
        FileNotFoundError: there is no such file.
    """
    if Path(name).suffix in (".ts", ".pt"):
        if Path(name).is_file() and not trust:
            raise ValueError(f"{name} holds code that runs when it is read: give --trust if you know its origin.")
        return feature_extractor(TorchScriptFeatures(name, trust), spatial_dims)
    if name not in _EXTRACTORS:
        raise ValueError(f"features are {name!r}, allowed: {', '.join(_EXTRACTORS)} or a TorchScript file x.ts.")
    return feature_extractor(name, spatial_dims)


def features_of_items(
    generator: SampleGenerator | None, items: Sequence[Item], title: str, extract: FeatureExtractor
) -> ImageFeatures:
    """Features of images of a data set.

    Args:
        generator: brings the images into its space and knows their classes; None for images as they are.
        items: with ``image`` and, where it is known, ``label``.
        title: of the progress bar and in errors.
        extract: the features.

    Raises:
        ValueError: no items, one that cannot be read, or a class that is missing or unknown to the generator.
    """
    if generator is None:
        return _of_pictures(items, title, extract)
    spec = generator.spec
    name = next(name for name, output in spec.outputs.items() if output.kind == "image")
    read = preprocessed_items(generator, [dict(item) for item in items], title)
    names = spec.classes or {}
    labels = None if read.labels is None else tuple(names[int(number)] for number in read.labels)
    return ImageFeatures(extract(read.outputs[name], spec.outputs[name].value_range).cpu(), labels)


def features_of_samples(
    generator: SampleGenerator,
    classes: Sequence[str] | None,
    count: int,
    truncation: float,
    seed: int,
    extract: FeatureExtractor,
) -> ImageFeatures:
    """Features of new samples; of a pool those of its items, each at most once.

    Args:
        generator: makes images.
        classes: names as frequent as they are wanted; None without classes.
        count: samples.
        truncation: passed to the generator.
        seed: sample i has the seed ``derive_seed("evaluate", seed, i)``.
        extract: the features.
    """
    name, output = next((name, output) for name, output in generator.spec.outputs.items() if output.kind == "image")
    if isinstance(generator, SamplePool):
        return _of_pool(generator, name, classes, count, extract)
    wanted = None if classes is None else [classes[i % len(classes)] for i in range(count)]
    rows: list[Tensor] = []
    with tqdm(total=count, desc="draw samples", unit="sample") as bar:
        for start in range(0, count, _CHUNK):
            places = range(start, min(start + _CHUNK, count))
            labels = None if wanted is None else wanted[places.start : places.stop]
            made = generator.sample([derive_seed("evaluate", seed, i) for i in places], labels, truncation)
            rows.append(extract(made[name].cpu(), output.value_range).cpu())
            bar.update(len(places))
    return ImageFeatures(torch.cat(rows), None if wanted is None else tuple(wanted))


def some_places(count: int, wanted: int, seed: int) -> list[int]:
    """At most ``wanted`` of ``count`` places in random order."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    return [int(place) for place in order[:wanted]]


def _of_pool(
    pool: SamplePool, name: str, classes: Sequence[str] | None, count: int, extract: FeatureExtractor
) -> ImageFeatures:
    """Of at most ``count`` items, as many of each class as are wanted and there."""
    places, labels = list(range(min(count, len(pool)))), None
    if classes is not None:
        names = pool.spec.classes or {}
        found = [names[number] for number in pool.record.classes or ()]
        wanted = Counter(classes[i % len(classes)] for i in range(count))
        ranks: Counter[str] = Counter()
        places = []
        for place, label in enumerate(found):
            ranks[label] += 1
            if ranks[label] <= wanted[label]:
                places.append(place)
        labels = tuple(found[place] for place in places)
    value_range = pool.spec.outputs[name].value_range
    rows = [
        extract(torch.stack([pool[place][name].cpu() for place in places[start : start + _CHUNK]]), value_range).cpu()
        for start in range(0, len(places), _CHUNK)
    ]
    return ImageFeatures(torch.cat(rows) if rows else torch.zeros(0, extract.n_features), labels)


def _of_pictures(items: Sequence[Item], title: str, extract: FeatureExtractor) -> ImageFeatures:
    """Of images as they are: bytes stand for [0, 1], other values are scaled image by image."""
    if not items:
        raise ValueError(f"{title} has no items.")
    pictures, rows = Pictures(items), []
    for number in tqdm(range(len(items)), desc=f"read {title}", unit="item"):
        try:
            rows.append(extract(_unit(pictures[number])[None]).cpu())
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"item {number} of {title}: {error}") from error
    labels = [str(item["label"]) for item in items if "label" in item and not _is_mask(item)]
    return ImageFeatures(torch.cat(rows), tuple(labels) if len(labels) == len(items) else None)


def _is_mask(item: Item) -> bool:
    """Whether what an item has under ``label`` is a mask's file."""
    return isinstance(item.get("mask"), str) and Path(item["mask"]).is_file()


def _unit(image: Tensor) -> Tensor:
    if image.dtype == torch.uint8:
        return image.float() / 255
    values = image.float()
    low, high = values.min(), values.max()
    return (values - low) / (high - low).clamp(min=torch.finfo(torch.float32).tiny)
