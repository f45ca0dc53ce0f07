# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Results of the stages of a measurement, kept in files: a run that was stopped goes on with the next stage."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from monai_genaug.weights import read_weights, save_weights

__all__ = ["stage_key", "stored_json", "stored_tensors"]


def stored_json(path: Path, make: Callable[[], Any]) -> Any:
    """The JSON value in a file, made first if it is not there; the file appears complete or not at all."""
    if not path.is_file():
        value = make()
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".partial")
        unfinished.write_text(json.dumps(value))
        unfinished.replace(path)
    return json.loads(path.read_text())


def stored_tensors(path: Path, make: Callable[[], Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The named tensors in a file, made first if it is not there; the file appears complete or not at all."""
    if not path.is_file():
        values = make()
        path.parent.mkdir(parents=True, exist_ok=True)
        save_weights(values, path)
    return read_weights(path)


def stage_key(*parts: Any) -> str:
    """A short name for what a stage depends on: equal for equal values that JSON can hold, otherwise another one."""
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
