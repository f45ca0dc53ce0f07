# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Was a generator trained on items that are to judge what it helps to train?"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import warnings
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from tqdm import tqdm

from monai_genaug._help import docs_link
from monai_genaug.generators.base import SampleGenerator
from monai_genaug.generators.hashing import content_hash, subject_hash
from monai_genaug.generators.preprocessing import preprocessing_for
from monai_genaug.generators.spec import GeneratorSpec, Provenance

__all__ = [
    "HeldOutHashes",
    "LeakageError",
    "LeakageReport",
    "LeakageWarning",
    "check_leakage",
    "held_out_hashes",
    "shared_subjects",
]

OnOverlap = Literal["warn", "raise", "ignore"]
_SPACE = ("spatial_shape", "spacing", "orientation", "intensity", "intensity_range", "padding", "fitting")


class LeakageError(ValueError):
    """A generator was trained on items that are held out."""


class LeakageWarning(UserWarning):
    """A generator was trained on items that are held out, or nobody can tell."""


@dataclass(frozen=True)
class HeldOutHashes:
    """What :func:`check_leakage` compares, made once for several checks.

    Args:
        space: of the generators that they hold for: those with the same preprocessing and image.
        items: one hash per item, in their order.
        subjects: one identifier per item; None if subjects were not asked for.
    """

    space: str
    items: tuple[str, ...]
    subjects: tuple[str, ...] | None = None


@dataclass(frozen=True)
class LeakageReport:
    """What a generator and held-out items have in common.

    Args:
        generator: its name.
        n_items: items that were given.
        items: indices of those that the generator was trained on; None if its provenance has no hashes of items, so
            that nobody can tell.
        subjects: indices of the items of subjects that it was trained on; None if its provenance has no hashes of
            subjects, or none were asked for.
        subjects_asked: whether a subject key was given.
    """

    generator: str
    n_items: int
    items: tuple[int, ...] | None
    subjects: tuple[int, ...] | None = None
    subjects_asked: bool = False

    @property
    def status(self) -> Literal["overlap", "no overlap", "unknown"]:
        """``"no overlap"`` only if all that was asked could be compared."""
        if self.items or self.subjects:
            return "overlap"
        known = self.items is not None and (self.subjects is not None or not self.subjects_asked)
        return "no overlap" if known else "unknown"

    def __str__(self) -> str:
        parts = [_sentence(self.items, self.n_items, "items", "are training items")]
        if self.subjects_asked:
            parts.append(_sentence(self.subjects, self.n_items, "items", "are of training subjects"))
        return f"generator {self.generator!r}: {'; '.join(parts)}."

    def to_dict(self) -> dict[str, Any]:
        """Plain values, with the status."""
        plain: dict[str, Any] = json.loads(json.dumps({"status": self.status, **dataclasses.asdict(self)}))
        return plain


def check_leakage(
    generator: SampleGenerator,
    held_out: Sequence[Mapping[str, Any]] | HeldOutHashes,
    keys: str | Sequence[str] = "image",
    subject_key: str | None = None,
    on_overlap: OnOverlap = "warn",
    preprocessed: bool = False,
    progress: bool = False,
) -> LeakageReport:
    """Looks for validation or test items among the training items of a generator.

    Figures of a network that was trained with samples of such a generator are too good. Items are recognised by
    :func:`content_hash` after the generator's preprocessing, as ``BundleExport`` hashes the training items: copies with
    other names are found, altered ones (compressed, resized, otherwise preprocessed) are not, nor are other images of
    the same subject. Volumes that preprocessing resamples or scales by percentiles may get another hash where versions
    of the libraries round otherwise. Subjects are compared by salted hashes of their identifiers, which are found only
    if the items name their subjects as the training items did. For altered copies, :func:`find_duplicates` needs the
    training images.

    Args:
        generator: whose ``spec.provenance`` has the hashes.
        held_out: items with paths or channel-first arrays, or what :func:`held_out_hashes` made of them.
        keys: key of the image, or keys parallel to the generator's outputs, of which that of the image is read.
        subject_key: where an item names its subject; None to compare items alone.
        on_overlap: ``"warn"`` (:class:`LeakageWarning`), ``"raise"`` or ``"ignore"``. The first two also warn when the
            provenance has no hashes: then nothing is known.
        preprocessed: the items are in the generator's space already.
        progress: show a progress bar.

    Returns:
        The items that overlap, by index.

    Raises:
        LeakageError: items or subjects overlap and ``on_overlap`` is ``"raise"``.
        ValueError: an argument that is not allowed, or what :func:`held_out_hashes` refuses.

    Example:
        >>> test_items = [{"image": torch.zeros(1, 28, 28)}]
        >>> check_leakage(mg.load_generator("chest_xray_cgan"), test_items, on_overlap="raise").status
        'no overlap'
    """
    if on_overlap not in get_args(OnOverlap):
        raise ValueError(f"on_overlap is {on_overlap!r}, allowed: {get_args(OnOverlap)}.")
    spec = generator.spec
    provenance = spec.provenance or Provenance(dataset="")
    if isinstance(held_out, HeldOutHashes):
        if held_out.space != _space(spec):
            raise ValueError(f"the hashes were made for a generator with another preprocessing than {spec.name!r}.")
        hashes = held_out
    elif provenance.item_hashes:
        hashes = held_out_hashes(generator, held_out, keys, subject_key, preprocessed, progress)
    else:
        hashes = HeldOutHashes(_space(spec), ("",) * len(held_out), _subjects(held_out, subject_key))
    report = _compare(spec.name, provenance, hashes)
    _tell(report, on_overlap)
    return report


def held_out_hashes(
    generator: SampleGenerator,
    items: Sequence[Mapping[str, Any]],
    keys: str | Sequence[str] = "image",
    subject_key: str | None = None,
    preprocessed: bool = False,
    progress: bool = False,
) -> HeldOutHashes:
    """Hashes of held-out items, for checks of several generators of the same space.

    Args:
        generator, items, keys, subject_key, preprocessed, progress: see :func:`check_leakage`.

    Raises:
        ValueError: keys that don't fit the generator or the items, an item without subject, one that its preprocessing
            refuses, or a preprocessed one of another shape or range; the text names the item.
    """
    spec = generator.spec
    name = next((name for name, output in spec.outputs.items() if output.kind == "image"), None)
    if name is None:
        raise ValueError(f"generator {spec.name!r} makes no image, its outputs are {list(spec.outputs)}.")
    key = _image_key(spec, name, keys)
    read = {load: preprocessing_for(spec, [key], load, [name]) for load in (False, True)}
    subjects = _subjects(items, subject_key)
    hashes = []
    for index, item in enumerate(tqdm(items, desc="hash items", unit="item", disable=not progress)):
        if key not in item:
            raise ValueError(f"item {index} has no key {key!r}, but {sorted(map(str, item))}.")
        value = item[key]
        if preprocessed:
            image = _checked(torch.as_tensor(value), spec, name, index)
        else:
            try:
                image = read[isinstance(value, (str, os.PathLike))]({key: value})[key]
            except RuntimeError as error:
                raise ValueError(f"item {index}: {error.__cause__ or error}") from error
        hashes.append(content_hash(image, spec.outputs[name].value_range))
    return HeldOutHashes(_space(spec), tuple(hashes), subjects)


def shared_subjects(splits: Mapping[str, Sequence[Hashable]]) -> dict[tuple[str, str], tuple[Hashable, ...]]:
    """Subjects that are in two parts of a data set.

    Args:
        splits: name of the part -> the subject of every item in it.

    Returns:
        Names of two parts -> the subjects in both, in the order of the first one; only parts that share some.
    """
    known = {name: dict.fromkeys(subjects) for name, subjects in splits.items()}
    shared = {(a, b): tuple(subject for subject in known[a] if subject in known[b]) for a, b in combinations(known, 2)}
    return {names: subjects for names, subjects in shared.items() if subjects}


def _compare(name: str, provenance: Provenance, hashes: HeldOutHashes) -> LeakageReport:
    items = subjects = None
    if provenance.item_hashes:
        known = set(provenance.item_hashes)
        items = tuple(index for index, digest in enumerate(hashes.items) if digest in known)
    if provenance.subject_hashes and hashes.subjects is not None:
        known, salt = set(provenance.subject_hashes), provenance.subject_salt
        subjects = tuple(i for i, subject in enumerate(hashes.subjects) if subject_hash(subject, salt) in known)
    return LeakageReport(name, len(hashes.items), items, subjects, hashes.subjects is not None)


def _tell(report: LeakageReport, on_overlap: OnOverlap) -> None:
    if on_overlap == "ignore" or report.status == "no overlap":
        return
    text = f"{report} See {docs_link('how_to/leakage')}."
    if on_overlap == "raise" and report.status == "overlap":
        raise LeakageError(text)
    warnings.warn(text, LeakageWarning, stacklevel=3)


def _sentence(found: tuple[int, ...] | None, total: int, what: str, verb: str) -> str:
    if found is None:
        return f"unknown how many of {total} {what} {verb}, its provenance has no hashes of them"
    shown = ", ".join(map(str, found[:5])) + ", ..." * (len(found) > 5)
    return f"{len(found)} of {total} {what} {verb}" + (f" (indices {shown})" if found else "")


def _image_key(spec: GeneratorSpec, name: str, keys: str | Sequence[str]) -> str:
    names = (keys,) if isinstance(keys, str) else tuple(keys)
    if len(names) == 1:
        return names[0]
    if len(names) != len(spec.outputs):
        raise ValueError(f"keys are {names}, needed: one for the image, or one per output {list(spec.outputs)}.")
    return names[list(spec.outputs).index(name)]


def _subjects(items: Sequence[Mapping[str, Any]], subject_key: str | None) -> tuple[str, ...] | None:
    if subject_key is None:
        return None
    for index, item in enumerate(items):
        if item.get(subject_key) is None:
            raise ValueError(f"item {index} names no subject under {subject_key!r}.")
    return tuple(str(item[subject_key]) for item in items)


def _checked(image: Tensor, spec: GeneratorSpec, name: str, index: int) -> Tensor:
    output = spec.outputs[name]
    (low, high), shape = output.value_range, (output.channels, *spec.spatial_shape)
    slack = 1e-5 * (high - low)
    fits = image.is_floating_point() and tuple(image.shape) == shape
    if not fits or image.min() < low - slack or image.max() > high + slack:
        raise ValueError(
            f"item {index} is {image.dtype} of shape {tuple(image.shape)}, in the space of {spec.name!r} are floating "
            f"values of shape {shape} in [{low:g}, {high:g}]."
        )
    return image


def _space(spec: GeneratorSpec) -> str:
    """Changes with everything that the hash of an item depends on."""
    fields = spec.to_dict()
    image = next((output for output in fields["outputs"].values() if output["kind"] == "image"), None)
    text = json.dumps([image, *(fields[name] for name in _SPACE)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
