# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys
from pathlib import Path

import pytest

from monai_genaug.generators import VAEGenerator
from monai_genaug.generators.background_build import BackgroundBuild
from monai_genaug.generators.base import Samples
from tests.toy import toy_generator, toy_network, toy_spec

SHAPE = (8, 8)


class Broken(VAEGenerator):
    """Makes nothing."""

    def __init__(self) -> None:
        super().__init__(toy_network(SHAPE), toy_spec(SHAPE))

    def _generate(self, seeds: list[int], classes: list[int] | None, truncation: float) -> Samples:
        print("a word before")
        raise ValueError("out of order")


def test_an_error_comes_with_what_the_process_said(tmp_path: Path) -> None:
    background = BackgroundBuild(Broken())
    background.start(tmp_path / "pool", {"plan": 3})
    assert background.folder == tmp_path / "pool"
    with pytest.raises(RuntimeError, match=r"(?s)that builds .*pool ended with exit code 1:.*out of order") as caught:
        background.finished(120)
    assert "a word before" in str(caught.value)
    assert background.folder is None
    assert background.finished(0)
    assert not (tmp_path / "pool").exists()


def test_it_waits_no_longer_than_it_is_told_to(tmp_path: Path) -> None:
    background = BackgroundBuild(toy_generator(SHAPE))
    assert background.finished(0)
    background.start(tmp_path / "pool", {"plan": 3})
    assert not background.finished(0)
    background.stop()
    assert background.finished(0)


def test_generators_that_no_other_process_can_read(monkeypatch: pytest.MonkeyPatch) -> None:
    class Local(Broken):
        pass

    with pytest.raises(ValueError, match=r"'toy' cannot be handed to another process: .*Local.*module that can be"):
        BackgroundBuild(Local())
    monkeypatch.setattr(Broken, "__module__", "__main__")
    monkeypatch.setattr(sys.modules["__main__"], "Broken", Broken, raising=False)
    with pytest.raises(ValueError, match=r"Broken is defined in the main script"):
        BackgroundBuild(Broken())
