# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The leakage check of transforms that are told which items are held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monai_genaug.quality.leakage import HeldOutHashes, OnOverlap, check_leakage
from monai_genaug.transforms.synthesis import _Synthesis

__all__: list[str] = []

_HeldOut = Sequence[Mapping[str, Any]] | HeldOutHashes | None


def _check_held_out(synthesis: _Synthesis, held_out: _HeldOut, on_overlap: OnOverlap) -> None:
    """Looks for the held-out items among the generator's training items, if any are given."""
    if held_out is None:
        return
    outputs = synthesis.generator.spec.outputs
    image_keys = [str(key) for key, name in synthesis.outputs.items() if outputs[name].kind == "image"]
    check_leakage(synthesis.generator, held_out, (image_keys or ["image"])[0], on_overlap=on_overlap)
