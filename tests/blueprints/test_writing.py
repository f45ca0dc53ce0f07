# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from monai_genaug.blueprints.writing import METHODS, write_untrained_bundle
from monai_genaug.experiments.card_text import BEGIN, END
from monai_genaug.generators.bundle_reference import BundleReference
from monai_genaug.generators.spec import GeneratorSpec, OutputSpec

ARGUMENTS = {"spatial_dims": 2, "spatial_shape": [8, 8], "latent_dim": 4, "n_classes": 2, "channels": [4, 8]}


def spec(**changes: Any) -> GeneratorSpec:
    outputs = {"image": OutputSpec("image", 1, (0.0, 1.0), "float32")}
    plain = GeneratorSpec("toy", outputs, (8, 8), classes={0: "benign", 1: "malignant"}, data_licence="CC-BY-4.0")
    return plain.replace(**changes)


def write(folder: Path, network: str = "ConditionalVAE", method: str = "vae", **options: Any) -> Path:
    values = {"spec": spec(), "training": {"batch_size": 3}, "metadata": {"name": "toy"}, **options}
    return write_untrained_bundle(
        folder, method, values["spec"], network, ARGUMENTS, values["training"], values["metadata"]
    )


@pytest.mark.parametrize("method", METHODS)
def test_configs(method: str, tmp_path: Path) -> None:
    bundle = write(tmp_path / "toy", "DCGANGenerator" if method == "gan" else "ConditionalVAE", method)
    configs = {path.stem: json.loads(path.read_text()) for path in (bundle / "configs").iterdir()}
    assert set(configs) == {"train", "inference", "metadata", "generator"}
    assert configs["train"]["batch_size"] == 3
    assert configs["train"]["network_args"] == configs["inference"]["network_args"] == ARGUMENTS
    assert configs["inference"]["n_classes"] == 2
    assert BundleReference.read(bundle).spec.classes == {0: "benign", 1: "malignant"}


def test_card_and_licence(tmp_path: Path) -> None:
    bundle = write(tmp_path / "toy")
    card = (bundle / "docs" / "README.md").read_text()
    assert card.count(BEGIN) == card.count(END) == 1
    for told in ("8 x 8 pixels", "benign, malignant", "class_label='benign'", "CC-BY-4.0", "Not measured yet"):
        assert told in card
    assert "Licence of the data: CC-BY-4.0. Licence of the weights: NOASSERTION" in (bundle / "LICENSE").read_text()
    assert "--datalist" not in card
    listed = write(tmp_path / "listed", training={"datalist": ""})
    assert "--datalist" in (listed / "docs" / "README.md").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "flow"}, "method is 'flow', allowed"),
        ({"network": "Decoder"}, "network is 'Decoder', allowed: .*'ConditionalVAE'"),
        ({"training": {"trainer#depth": 1}}, "no entry 'trainer#depth'"),
        ({"spec": spec(classes={0: "a", 1: "b@c"})}, "b@c.*not allowed"),
    ],
)
def test_bad_input_writes_nothing(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        write(tmp_path / "toy", **options)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_stays(tmp_path: Path) -> None:
    with pytest.raises(FileExistsError, match="exists"):
        write(tmp_path)
    assert list(tmp_path.iterdir()) == []
