# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What was measured of a bundle, in its files: figures, the measured part of its card, warnings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai_genaug.experiments.bundle_privacy import BundlePrivacy
from monai_genaug.experiments.card_text import BEGIN, END, insert_measured, measured_section
from monai_genaug.experiments.feature_card import feature_section
from monai_genaug.experiments.feature_quality import FeatureQuality
from monai_genaug.experiments.filter_effect_report import FilterEffect, filter_section
from monai_genaug.experiments.image_quality import ImageQuality
from monai_genaug.experiments.privacy_card import privacy_section, privacy_warnings
from monai_genaug.experiments.quality_card import quality_section, quality_warnings
from monai_genaug.generators.bundle_reference import CONFIG_FILE

__all__ = ["card_section", "card_warnings", "check_card", "quality_of", "read_measured", "write_measured"]

_MEASURED = "measured.json"
_FEATURES, _PRIVACY, _FILTERS, _WARNINGS = "features", "privacy", "filters", "warnings"
_OF_PAIRS = "judge_dice"


def check_card(bundle: Path) -> None:
    """Makes sure that :func:`write_measured` will find what it changes.

    Raises:
        ValueError: no ``docs/README.md`` with one pair of marks, or no ``configs/generator.json``.
    """
    card = bundle / "docs" / "README.md"
    text = card.read_text() if card.is_file() else ""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"{card} needs the lines {BEGIN!r} and {END!r} once each.")
    if not (bundle / CONFIG_FILE).is_file():
        raise ValueError(f"{bundle} is no generator bundle: it has no {CONFIG_FILE}.")


def read_measured(bundle: Path) -> dict[str, Any]:
    """The content of ``docs/measured.json``; nothing if there is none."""
    path = bundle / "docs" / _MEASURED
    content: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return content


def write_measured(bundle: Path, figures: Mapping[str, Any]) -> None:
    """Writes figures into ``docs/measured.json``, the measured part of the card, and the warnings.

    Args:
        bundle: the bundle's folder.
        figures: entries of the file, which replace those of the same name: those of :class:`ImageQuality` or of the
            hippocampus card, ``"features"`` of :class:`FeatureQuality`, ``"privacy"`` of :class:`BundlePrivacy`,
            ``"filters"`` of :class:`FilterEffect`.

    Raises:
        ValueError: see :func:`check_card`; nothing is written.
    """
    check_card(bundle)
    measured = {**read_measured(bundle), **figures}
    measured[_WARNINGS] = list(card_warnings(measured))
    section = card_section(measured)
    _replace_json(bundle / "docs" / _MEASURED, measured)
    insert_measured(bundle / "docs" / "README.md", section)
    config = json.loads((bundle / CONFIG_FILE).read_text())
    config["spec"][_WARNINGS] = measured[_WARNINGS]
    _replace_json(bundle / CONFIG_FILE, config)


def card_section(measured: Mapping[str, Any]) -> str:
    """Markdown of all tables that the figures allow."""
    sections = []
    if _OF_PAIRS in measured:
        sections.append(measured_section(measured))
    elif (quality := quality_of(measured)) is not None:
        sections.append(quality_section(quality))
    if _FEATURES in measured:
        sections.append(feature_section(FeatureQuality.from_dict(measured[_FEATURES])))
    if _PRIVACY in measured:
        sections.append(privacy_section(BundlePrivacy.from_dict(measured[_PRIVACY])))
    if _FILTERS in measured:
        sections.append(filter_section(FilterEffect.from_dict(measured[_FILTERS])))
    return "\n\n".join(sections)


def card_warnings(measured: Mapping[str, Any]) -> tuple[str, ...]:
    """What a user must know before using the samples, one sentence each; nothing if all criteria hold."""
    quality = quality_of(measured)
    warnings = () if quality is None else quality_warnings(quality)
    if _PRIVACY in measured:
        warnings += privacy_warnings(BundlePrivacy.from_dict(measured[_PRIVACY]))
    return warnings


def quality_of(measured: Mapping[str, Any]) -> ImageQuality | None:
    """The figures of an image generator; None for those of another kind."""
    if _OF_PAIRS in measured or "whole" not in measured:
        return None
    others = (_FEATURES, _PRIVACY, _FILTERS, _WARNINGS)
    return ImageQuality.from_dict({name: value for name, value in measured.items() if name not in others})


def _replace_json(path: Path, content: Mapping[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=2) + "\n")
    partial.replace(path)
