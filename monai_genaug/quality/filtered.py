# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A generator whose samples all meet criteria, and the same choice among the items of a pool."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from monai_genaug.generators import SampleGenerator, SamplePool, derive_seed
from monai_genaug.generators.base import Samples
from monai_genaug.quality.criteria import SampleCriterion

__all__ = ["FilteredGenerator", "PoolFilter", "filter_pool"]

_counting = threading.Lock()  # one for all generators, so that none has to be pickled


class FilteredGenerator(SampleGenerator):
    """Another generator's samples, those that meet all criteria.

    Attempt 0 of seed s is the other generator's sample of s itself, attempt a > 0 that of
    ``derive_seed("filtered", s, a)``; the sample of s is the first one that is accepted. So it is a function of seed
    and class as ever, and equals the unfiltered sample wherever that is good enough. Attempts of all seeds that are
    still open are drawn together.

    Args:
        generator: makes the candidates.
        criteria: all of which a sample must meet, one at least.
        max_attempts: per sample, 1 and more.

    Raises:
        ValueError: no criteria, or no attempts.
    """

    def __init__(self, generator: SampleGenerator, criteria: Sequence[SampleCriterion], max_attempts: int = 64) -> None:
        if not criteria or max_attempts < 1:
            raise ValueError(f"{len(criteria)} criteria and {max_attempts} attempts, needed: 1 and more of both.")
        self._generator, self._criteria, self._max_attempts = generator, tuple(criteria), max_attempts
        self._drawn = self._accepted = 0
        spec = generator.spec
        text = "\x1f".join([spec.sha256, *(criterion.identity for criterion in self._criteria)])
        digest = hashlib.sha256(text.encode()).hexdigest()
        super().__init__(spec.replace(name=f"{spec.name}+filtered", sha256=digest, encodes=()), generator.device)
        self.batch_size = generator.batch_size

    @property
    def generator(self) -> SampleGenerator:
        """What makes the candidates."""
        return self._generator

    @property
    def criteria(self) -> tuple[SampleCriterion, ...]:
        """What every sample meets."""
        return self._criteria

    @property
    def acceptance_rate(self) -> float | None:
        """Accepted share of all candidates that this object has drawn; None before the first one."""
        with _counting:
            return self._accepted / self._drawn if self._drawn else None

    def _generate(self, seeds: list[int], classes: list[int] | None, truncation: float) -> Samples:
        kept: Samples = {}
        rows = torch.arange(len(seeds))
        for attempt in range(self._max_attempts):
            some = rows.tolist()
            own = None if classes is None else [classes[row] for row in some]
            candidates = self._generator.sample([_attempt_seed(seeds[row], attempt) for row in some], own, truncation)
            accepted = _verdicts(self._criteria, candidates, own).all(dim=0)
            self._count(len(some), int(accepted.sum()))
            for name, values in candidates.items():
                kept.setdefault(name, values.new_empty(len(seeds), *values.shape[1:]))
                kept[name][rows[accepted].to(values.device)] = values[accepted.to(values.device)]
            rows = rows[~accepted]
            if not len(rows):
                return kept
        raise RuntimeError(self._complaint(seeds, classes, rows.tolist()))

    def _count(self, drawn: int, accepted: int) -> None:
        with _counting:
            self._drawn += drawn
            self._accepted += accepted

    def _complaint(self, seeds: list[int], classes: list[int] | None, rows: list[int]) -> str:
        label = "" if classes is None else f" of class {(self.spec.classes or {})[classes[rows[0]]]!r}"
        return (
            f"{self.spec.name!r}: {len(rows)} of {len(seeds)} samples, the first with seed {seeds[rows[0]]}{label}, "
            f"met no criteria in {self._max_attempts} attempts; {100 * (self.acceptance_rate or 0.0):.3g} % of all "
            "candidates were accepted. Use milder criteria, or a larger max_attempts."
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> FilteredGenerator:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        state = {"batch_size": self.batch_size}
        return FilteredGenerator, (self._generator, self._criteria, self._max_attempts), state


@dataclass(frozen=True, eq=False)
class PoolFilter:
    """Which items of a pool meet criteria.

    Args:
        kept: indices of the items that meet all, rising, int64 ``(k,)``.
        accepted: bool ``(criteria, items)``.
        scores: float64 ``(criteria, items)``.
    """

    kept: Tensor
    accepted: Tensor
    scores: Tensor


def filter_pool(pool: SamplePool, criteria: Sequence[SampleCriterion]) -> PoolFilter:
    """Judges the items of a pool, a block at a time; the pool stays as it is.

    Args:
        pool: finished samples.
        criteria: one at least.

    Raises:
        ValueError: no criteria.
    """
    if not criteria:
        raise ValueError("there are 0 criteria, needed: 1 and more.")
    accepted, scores = [], []
    for start in range(0, len(pool), pool.batch_size):
        items = [pool[i] for i in range(start, min(start + pool.batch_size, len(pool)))]
        samples = {name: torch.stack([item[name] for item in items]) for name in pool.spec.outputs}
        classes = None if pool.classes is None else pool.classes[start : start + len(items)]
        accepted.append(_verdicts(criteria, samples, classes))
        scores.append(torch.stack([criterion.scores(samples, classes).double() for criterion in criteria]))
    table = torch.cat(accepted, dim=1)
    return PoolFilter(table.all(dim=0).nonzero().flatten(), table, torch.cat(scores, dim=1))


def _attempt_seed(seed: int, attempt: int) -> int:
    return seed if attempt == 0 else derive_seed("filtered", seed, attempt)


def _verdicts(criteria: Sequence[SampleCriterion], samples: Samples, classes: Sequence[int] | None) -> Tensor:
    """Bool ``(criteria, n)``, on the CPU."""
    return torch.stack([criterion.accept(samples, classes).cpu() for criterion in criteria])
