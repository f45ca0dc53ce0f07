# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from monai_genaug.generators.bundle_recipe import BundleRecipe
from monai_genaug.generators.zoo_files import BundleFiles, is_zoo_bundle
from monai_genaug.generators.zoo_spec import spec_of_bundle
from tests.generators.zoo_bundles import metadata, script_gan, zoo_gan


def test_configs_have_usual_names(tmp_path: Path) -> None:
    assert not is_zoo_bundle(tmp_path)
    configs = tmp_path / "configs"
    configs.mkdir()
    with pytest.raises(ValueError, match=r"no config for sampling: .*configs has \[\]"):
        BundleFiles.find(tmp_path)
    (configs / "infer.yaml").write_text("a: 1\nb: 2\n")
    assert BundleFiles.find(tmp_path).config_files == ("configs/infer.yaml",)
    (configs / "common.yaml").write_text("a: 0\nc: 3\n")
    assert BundleFiles.find(tmp_path).config() == {"a": 1, "b": 2, "c": 3}
    (configs / "inference.json").write_text('{"a": 5}')
    assert BundleFiles.find(tmp_path).config_files == ("configs/common.yaml", "configs/inference.json")
    assert BundleFiles.find(tmp_path, ["configs/inference.json"]).config() == {"a": 5}
    assert is_zoo_bundle(tmp_path)
    with pytest.raises(ValueError, match=r"\['configs/none.json'\] .* not found"):
        BundleFiles.find(tmp_path, ["configs/none.json"])
    (configs / "inference.json").write_text("{")
    with pytest.raises(ValueError, match="cannot be read"):
        BundleFiles.find(tmp_path).config()


def test_hashes_notice_every_change(tmp_path: Path) -> None:
    folder = script_gan(tmp_path / "bundle", "a", 0.0)
    files = BundleFiles.find(folder)
    code, weights = files.code_sha256(), files.weights_sha256()
    for name in ("scripts/nets.py", "configs/metadata.json", "configs/inference.json"):
        text = (folder / name).read_text()
        (folder / name).write_text(text + " ")
        assert files.code_sha256() != code
        (folder / name).write_text(text)
    (folder / "scripts" / "table.csv").touch()
    assert files.code_sha256() != code
    (folder / "scripts" / "table.csv").unlink()
    (folder / "loose.py").touch()
    assert files.code_sha256() != code
    (folder / "loose.py").unlink()
    (folder / "scripts" / "__pycache__").mkdir()
    (folder / "scripts" / "__pycache__" / "nets.pyc").touch()
    (folder / "docs" / "README.md").write_text("read me")
    assert (files.code_sha256(), files.weights_sha256()) == (code, weights)
    (folder / "models" / "model.pt").rename(folder / "models" / "other.pt")
    assert files.weights_sha256() != weights


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Apache License\nVersion 2.0", "Apache-2.0"),
        ("MIT License\n\nCopyright", "MIT"),
        ("Creative Commons Attribution-NonCommercial 4.0 International", "CC-BY-NC-4.0"),
        ("Creative Commons Attribution 4.0 International", "CC-BY-4.0"),
        ("ask us", ""),
    ],
)
def test_licences_by_their_texts(tmp_path: Path, text: str, expected: str) -> None:
    folder = zoo_gan(tmp_path / "bundle")
    (folder / "LICENSE").write_text(text)
    (folder / "docs" / "data_license.txt").write_text(text)
    spec = spec_of_bundle(BundleFiles.find(folder), BundleRecipe("sample"), {"image": (1, 8, 8)}, True)
    assert (spec.weights_licence, spec.data_licence) == (expected, expected)


def test_spec_by_the_recipe(tmp_path: Path) -> None:
    meta = metadata()
    meta["network_data_format"]["outputs"]["pred"]["value_range"] = []
    files = BundleFiles.find(zoo_gan(tmp_path / "bundle", meta=meta))
    spec = spec_of_bundle(files, BundleRecipe("sample"), {"image": (1, 8, 8)}, False)
    assert spec.outputs["image"].value_range == (0, 1)
    assert len([text for text in spec.warnings if "one seed per call" in text or "value range" in text]) == 2
    changes = {"value_range": [-1000, 1000], "spacing": [1, 1, 2], "anatomy": "knee", "warnings": ["Be careful."]}
    own = spec_of_bundle(files, BundleRecipe("sample", spec=changes), {"image": (2, 8, 8)}, True)
    assert own.outputs["image"].value_range == (-1000, 1000)
    assert (own.outputs["image"].channels, own.spacing, own.anatomy) == (2, None, "knee")
    assert "Be careful." in own.warnings
    assert own.sha256 != spec.sha256
    with pytest.raises(ValueError, match=r"unknown fields \['colour'\]"):
        spec_of_bundle(files, BundleRecipe("sample", spec={"colour": "red"}), {"image": (1, 8, 8)}, True)
