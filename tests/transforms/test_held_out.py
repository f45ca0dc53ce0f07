# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from monai_genaug.data import SyntheticDataset
from monai_genaug.generators import Provenance, VAEGenerator, content_hash
from monai_genaug.quality import LeakageError, LeakageWarning, held_out_hashes
from monai_genaug.transforms import GenerativePrepareBatch, RandGenerativeSampled, ReplaceWithSyntheticd
from tests.toy import toy_network, toy_spec

SHAPE = (16, 16)


def generator(provenance: Provenance | None) -> VAEGenerator:
    return VAEGenerator(toy_network(SHAPE, mask=False), toy_spec(SHAPE, mask=False, provenance=provenance))


def scans(first: int, count: int = 3) -> list[dict[str, Any]]:
    return [{"scan": np.random.default_rng(first + k).random((1, *SHAPE), dtype=np.float32)} for k in range(count)]


@pytest.fixture(scope="module")
def trained() -> VAEGenerator:
    preprocess = generator(None).preprocessing("scan", load=False)
    return generator(Provenance("toy", item_hashes=tuple(content_hash(preprocess(s)["scan"]) for s in scans(0))))


USERS: dict[str, Callable[..., object]] = {
    "random": lambda made, **arguments: RandGenerativeSampled("scan", made, **arguments),
    "replace": lambda made, **arguments: ReplaceWithSyntheticd("scan", made, id_key="id", **arguments),
    "batch": lambda made, **arguments: GenerativePrepareBatch("scan", made, **arguments),
    "dataset": lambda made, **arguments: SyntheticDataset(made, 2, "scan", **arguments),
}
every_user = pytest.mark.parametrize("user", USERS)


@every_user
def test_training_items_among_the_held_out_ones_are_told(user: str, trained: VAEGenerator) -> None:
    held_out = [*scans(100), *scans(1, 1)]
    with pytest.warns(LeakageWarning, match=r"1 of 4 items are training items \(indices 3\)"):
        USERS[user](trained, held_out=held_out)
    with pytest.raises(LeakageError, match="1 of 4 items are training items"):
        USERS[user](trained, held_out=held_out, on_overlap="raise")
    with pytest.raises(LeakageError, match="1 of 4 items are training items"):
        USERS[user](trained, held_out=held_out_hashes(trained, held_out, "scan"), on_overlap="raise")


@every_user
def test_other_items_pass_in_silence(user: str, trained: VAEGenerator) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        USERS[user](trained, held_out=scans(100), on_overlap="raise")


@every_user
def test_a_generator_that_does_not_say_warns(user: str) -> None:
    with pytest.warns(LeakageWarning, match="unknown"):
        USERS[user](generator(None), held_out=scans(100), on_overlap="raise")
