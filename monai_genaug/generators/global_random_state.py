# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Code that can only draw from the global random state, given one of its own per seed."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from monai.transforms.transform import Randomizable
from numpy.typing import NDArray
from torch import Tensor

from monai_genaug.generators.process_lock import GLOBAL_STATE

__all__ = ["own_random_state", "seeded_torch_generator"]

_WORDS = 624  # of a Mersenne Twister
_TORCH_STREAM, _NUMPY_STREAM, _MONAI_STREAM = 0, 1, 2


@contextmanager
def own_random_state(seed: int, device: torch.device) -> Iterator[None]:
    """Runs a block with a global random state that is a function of ``seed``, and restores the previous one.

    Covers torch on the CPU and on ``device``, numpy, Python's ``random``, and the state that MONAI's random transforms
    share until they are given their own. All 63 bits of the seed count (``torch.manual_seed`` keeps 32 of them on a
    CPU). One block runs at a time in a process; a thread may nest them.
    Another thread that draws from the global random state meanwhile draws from the block's.

    Args:
        seed: in [0, 2^63).
        device: where the block computes; on a GPU its random state is the block's too.

    Raises:
        ValueError: a seed out of range.
    """
    if not 0 <= seed < 2**63:
        raise ValueError(f"seed {seed} is outside the allowed range [0, 2^63).")
    with GLOBAL_STATE.held():
        on_gpu = device.type == "cuda"
        before = torch.get_rng_state(), np.random.get_state(), random.getstate(), Randomizable.R.get_state()
        before_on_gpu = torch.cuda.get_rng_state(device) if on_gpu else None
        try:
            torch.set_rng_state(_torch_state(seed))
            np.random.set_state(("MT19937", _words(seed, _NUMPY_STREAM), _WORDS, 0, 0.0))
            random.seed(seed)
            Randomizable.R.set_state(("MT19937", _words(seed, _MONAI_STREAM), _WORDS, 0, 0.0))
            if on_gpu:
                torch.cuda.set_rng_state(seeded_torch_generator(seed, device).get_state(), device)
            yield
        finally:
            torch.set_rng_state(before[0])
            np.random.set_state(before[1])
            random.setstate(before[2])
            Randomizable.R.set_state(before[3])
            if before_on_gpu is not None:
                torch.cuda.set_rng_state(before_on_gpu, device)


def seeded_torch_generator(seed: int, device: torch.device) -> torch.Generator:
    """A ``torch.Generator`` on ``device`` whose state depends on all 63 bits of ``seed``."""
    generator = torch.Generator(device)
    if device.type == "cpu":
        return generator.set_state(_torch_state(seed))
    return generator.manual_seed(seed)  # a counter-based generator with a key of 64 bits


def _words(seed: int, stream: int) -> NDArray[np.uint32]:
    """The start of a Mersenne Twister: 624 words of the Philox stream with key (seed, stream)."""
    key = np.array([seed, stream], dtype=np.uint64)
    words = np.random.Philox(key=key).random_raw(_WORDS // 2).view(np.uint32)
    words[0] |= np.uint32(1 << 31)  # the one state that is not allowed is all zeros in the bits that count
    return words


def _torch_state(seed: int) -> Tensor:
    """The state of torch's CPU generator, as bytes."""
    fresh, offset = _fresh_torch_state()
    state = fresh.clone()
    words = torch.from_numpy(_words(seed, _TORCH_STREAM).astype(np.uint64).view(np.uint8))
    state[offset : offset + 8 * _WORDS] = words
    return state


@functools.cache
def _fresh_torch_state() -> tuple[Tensor, int]:
    """A state that has drawn nothing yet, and where in it the twister's words lie, each in eight bytes.

    The place is found by looking for the words that the published seeding gives for a known seed.
    """
    known = 20_210_531
    state = torch.Generator("cpu").manual_seed(known).get_state()
    words = np.array(np.random.RandomState(known).get_state()[1], dtype=np.uint64)  # type: ignore[index]
    offset = state.numpy().tobytes().find(words.tobytes())
    if offset < 0:
        raise RuntimeError(f"torch {torch.__version__} keeps the state of its CPU generator in an unknown layout.")
    return state, offset
