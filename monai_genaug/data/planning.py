# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""How many synthetic items of which class: plans for augmentation and for replacement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from math import floor
from typing import Any, Literal, TypeVar

from monai_genaug.generators.class_labels import ClassLabel, plain_label
from monai_genaug.generators.seeding import derive_seed

__all__ = ["PlanStrategy", "plan_counts", "plan_replacement"]

PlanStrategy = Literal["inverse_frequency", "balance", "ratio", "uniform"]
_Item = TypeVar("_Item", bound=Mapping[str, Any])
_HALF = Fraction(1, 2)


def plan_counts(
    labels: Iterable[Any], strategy: PlanStrategy = "inverse_frequency", amount: float | None = None
) -> dict[ClassLabel, int]:
    """Plans how many synthetic items each class gets, from the labels of the real items.

    With n_c real items of class c:

    - ``"inverse_frequency"``: ``amount`` items in total, class c gets the share (1/n_c) / sum_k (1/n_k).
    - ``"uniform"``: ``amount`` items in total, every class the same share.
    - ``"balance"``: every class is filled up to ``amount``, by default up to the largest class: max(0, amount - n_c).
    - ``"ratio"``: ``amount`` synthetic items for each real one: amount * n_c, halves rounded up.

    The first two hit their total exactly: shares are rounded down and what is left goes to the classes with the
    largest remainders (ties: to the class that comes first), so a rarer class never gets less than a more frequent one.

    Args:
        labels: one label per real item: ints, strings, or arrays or tensors of one element.
        strategy: see above.
        amount: for a total, an int is a number of items and a float a fraction of ``len(labels)``, rounded down
            (``1`` is one item, ``1.0`` as many as there are real ones); an int for ``"balance"``; any number of at
            least 0 for ``"ratio"``.

    Returns:
        Class -> count for every class in ``labels``, in sorted order; the plan of a ``SyntheticDataset``.

    Raises:
        ValueError: no labels, an unknown strategy, or an amount that is missing, negative or of the wrong type.

    Example:
        >>> plan_counts([0] * 147 + [1] * 399, amount=0.1)  # BreastMNIST: 10 % of 546
        {0: 39, 1: 15}
    """
    counts = Counter(plain_label(label) for label in labels)
    if not counts:
        raise ValueError("labels is empty, a plan needs the label of at least one real item.")
    real = {label: counts[label] for label in sorted(counts, key=lambda label: (isinstance(label, str), label))}
    size = None if amount is None else _checked_amount(amount)
    if strategy == "balance":
        if isinstance(amount, float):
            raise ValueError(f"amount is {amount!r}, allowed for 'balance': None or an int, the size to reach.")
        target = max(real.values()) if size is None else int(size)
        return {label: max(0, target - count) for label, count in real.items()}
    if strategy not in ("inverse_frequency", "ratio", "uniform"):
        raise ValueError(f"strategy is {strategy!r}, allowed: 'inverse_frequency', 'balance', 'ratio', 'uniform'.")
    if size is None:
        raise ValueError(f"strategy {strategy!r} needs an amount.")
    if strategy == "ratio":
        return {label: floor(size * count + _HALF) for label, count in real.items()}
    total = floor(size * sum(real.values())) if isinstance(amount, float) else int(size)
    weights = {label: Fraction(1, count if strategy == "inverse_frequency" else 1) for label, count in real.items()}
    return _largest_remainders(weights, total)


def plan_replacement(
    items: Sequence[_Item],
    n_real: int | Mapping[ClassLabel, int],
    n_fake: int | Mapping[ClassLabel, int],
    class_key: str | None = None,
    seed: int = 0,
    flag_key: str | None = None,
) -> tuple[list[_Item], int | dict[ClassLabel, int]]:
    """Plans the replacement of ``n_real`` real items by ``n_fake`` synthetic ones, for each class.

    Which items leave is a function of ``seed`` and of the positions in ``items``; with the same seed, the items that
    leave for a smaller ``n_real`` also leave for a larger one.

    Args:
        items: the real items.
        n_real: how many real items leave; one number for every class, or class -> number (0 for those not named).
        n_fake: how many synthetic items come, likewise.
        class_key: where an item's class stands; None takes all items as one class.
        seed: chooses the items that leave.
        flag_key: only items in which this key is true may leave, for example those that the generator never saw.

    Returns:
        The items that stay, in their order, and the plan of the synthetic ones: class -> count, or a number if
        ``class_key`` is None.

    Raises:
        ValueError: negative numbers, unknown classes, or more items to replace than there are.
        KeyError: an item without ``class_key`` or ``flag_key``.

    Example:
        >>> items = [{"label": "benign"}] * 3 + [{"label": "malignant"}]
        >>> kept, plan = mg.plan_replacement(items, {"benign": 2}, {"malignant": 2}, class_key="label")
        >>> len(kept), plan
        (2, {'benign': 0, 'malignant': 2})
    """
    labels = [None if class_key is None else plain_label(item[class_key]) for item in items]
    classes = sorted(set(labels), key=lambda label: (isinstance(label, str), label))
    leaving, coming = _per_class(n_real, classes, "n_real"), _per_class(n_fake, classes, "n_fake")
    gone: set[int] = set()
    for label in classes:
        candidates = [
            i for i, item in enumerate(items) if labels[i] == label and (flag_key is None or bool(item[flag_key]))
        ]
        if len(candidates) < leaving[label]:
            raise ValueError(
                f"n_real is {leaving[label]} for class {label!r}, but only {len(candidates)} of its items may leave."
            )
        candidates.sort(key=lambda i: derive_seed("plan_replacement", seed, i))
        gone.update(candidates[: leaving[label]])
    kept = [item for i, item in enumerate(items) if i not in gone]
    return kept, coming[None] if class_key is None else {label: coming[label] for label in classes if label is not None}


def _checked_amount(amount: float) -> Fraction:
    if isinstance(amount, bool) or not isinstance(amount, (int, float)) or not 0 <= amount < float("inf"):
        raise ValueError(f"amount is {amount!r}, allowed: a finite int or float of at least 0.")
    return Fraction(str(amount))  # 0.29 means 29/100, not the binary number just below it


def _largest_remainders(weights: Mapping[ClassLabel, Fraction], total: int) -> dict[ClassLabel, int]:
    """Splits ``total`` in proportion to ``weights`` (Hamilton's method, in exact arithmetic)."""
    whole = sum(weights.values())
    shares = {label: total * weight / whole for label, weight in weights.items()}
    plan = {label: floor(share) for label, share in shares.items()}
    by_remainder = sorted(shares, key=lambda label: plan[label] - shares[label])
    for label in by_remainder[: total - sum(plan.values())]:
        plan[label] += 1
    return plan


def _per_class(
    numbers: int | Mapping[ClassLabel, int], classes: Sequence[ClassLabel | None], name: str
) -> dict[ClassLabel | None, int]:
    if not classes:
        raise ValueError("items is empty, nothing can be replaced.")
    if isinstance(numbers, Mapping):
        unknown = [label for label in numbers if label not in classes]
        if unknown or classes == [None]:
            raise ValueError(f"{name} names the classes {list(numbers)}, in the items there are {list(classes)}.")
        counts = {label: numbers.get(label, 0) for label in classes if label is not None}
    else:
        counts = dict.fromkeys(classes, numbers)  # type: ignore[arg-type]
    bad = {label: count for label, count in counts.items() if not isinstance(count, int) or count < 0}
    if bad:
        raise ValueError(f"{name} is {next(iter(bad.values()))!r}, allowed: whole numbers of at least 0.")
    return {label: counts[label] for label in classes}  # type: ignore[index]
