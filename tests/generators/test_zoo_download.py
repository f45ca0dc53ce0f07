# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Bundles by name. The network is replaced by a zip file on this disk: MONAI downloads from its URL."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import monai.bundle
import pytest
import torch

from monai_genaug.generators import load_generator
from tests.generators.zoo_bundles import files_in, zoo_gan


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A model zoo with one bundle, ``hand_gan``; the names that were asked for."""
    made = zoo_gan(tmp_path / "zoo" / "hand_gan")
    archive = shutil.make_archive(str(tmp_path / "hand_gan"), "zip", made.parent, "hand_gan")
    asked: list[str] = []
    download = monai.bundle.download

    def from_disk(name: str, **options: Any) -> None:
        asked.append(name)
        if name != "hand_gan":
            raise OSError("no such bundle")
        download(name=name, url=Path(archive).as_uri(), **options)

    monkeypatch.setattr(monai.bundle, "download", from_disk)
    return asked


def test_a_name_is_downloaded_once_and_only_with_trust(zoo: list[str], tmp_path: Path) -> None:
    directory = tmp_path / "bundles"
    with pytest.raises(ValueError, match=r"not in .*bundles either; with trust=True .* downloaded"):
        load_generator("hand_gan", bundle_dir=directory)
    assert not zoo
    made = load_generator("hand_gan", trust=True, bundle_dir=directory).sample([1, 2])["image"]
    again = load_generator("hand_gan", trust=True, bundle_dir=directory)
    assert torch.equal(again.sample([1, 2])["image"], made)
    assert again.spec.name == "hand_gan"
    assert zoo == ["hand_gan"]
    assert files_in(directory) == [f"hand_gan/{name}" for name in files_in(tmp_path / "zoo" / "hand_gan")]
    with pytest.raises(ValueError, match="is a bundle of somebody else"):
        load_generator("hand_gan", bundle_dir=directory)


def test_names_are_looked_for_where_monai_keeps_bundles(
    zoo: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    zoo_gan(tmp_path / "hub" / "bundle" / "mine")
    assert load_generator("mine", trust=True).sample([1])["image"].shape == (1, 1, 8, 8)
    assert not zoo


def test_what_cannot_be_downloaded_leaves_nothing(zoo: list[str], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'other' cannot be downloaded .* OSError: no such bundle"):
        load_generator("other", trust=True, bundle_dir=tmp_path / "bundles")
    assert files_in(tmp_path / "bundles") == []
    assert list((tmp_path / "bundles").iterdir()) == []


@pytest.mark.parametrize("name", ["../hand_gan", "a/b", ".hidden", ""])
def test_paths_are_no_names(zoo: list[str], name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="neither"):
        load_generator(name, trust=True, bundle_dir=tmp_path)
    assert not zoo
