# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Hashes of volumes and subjects, by which training data are recognised when file names differ."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["content_hash", "subject_hash"]

_DIGEST_BYTES = 16
_STEPS = 255


def content_hash(values: NDArray[np.generic] | Tensor, value_range: tuple[float, float] = (0.0, 1.0)) -> str:
    """A hash of the preprocessed content of an item, equal for equal copies of it.

    Floating values are rounded to 256 levels over ``value_range`` (and clipped to it), integer ones (masks) are taken
    as they are, whatever the integer type. Rounding makes the hash independent of dtype and layout; it cannot make a
    hash tolerant of preprocessing that differs, even slightly, between two machines.

    Args:
        values: channel-first array or tensor ``(C, *spatial)``; its shape is part of the hash.
        value_range: smallest and largest value of floating ``values``.

    Returns:
        32 hexadecimal digits.

    Raises:
        ValueError: a value that is not finite, or an empty range.
    """
    low, high = value_range
    if not low < high:
        raise ValueError(f"value_range is {value_range}, the first must be below the second.")
    array = np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values)
    if np.issubdtype(array.dtype, np.floating):
        if not np.isfinite(array).all():
            raise ValueError("content_hash: the volume holds values that are not finite.")
        scaled = (array.astype(np.float64) - low) / (high - low)
        levels = np.rint(scaled.clip(0.0, 1.0) * _STEPS).astype(np.uint8)
    else:
        levels = array.astype("<i8")
    digest = hashlib.blake2b(f"{levels.dtype.kind}{levels.shape}".encode(), digest_size=_DIGEST_BYTES)
    digest.update(np.ascontiguousarray(levels).tobytes())
    return digest.hexdigest()


def subject_hash(subject_id: str, salt: str) -> str:
    """A salted hash of a subject's identifier, 32 hexadecimal digits.

    It lets two lists be compared without printing the identifiers, and hides nothing from somebody who can list them.
    """
    key = hashlib.blake2b(salt.encode(), digest_size=_DIGEST_BYTES).digest()
    return hashlib.blake2b(subject_id.encode(), digest_size=_DIGEST_BYTES, key=key).hexdigest()
