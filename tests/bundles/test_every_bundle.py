# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What holds for every bundle that comes with the package: weights, samples, configs, licences, sizes."""

from __future__ import annotations

import itertools
import json
import pydoc
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser
from torch import Tensor

from monai_genaug.generators import bundle_folder, list_generators
from monai_genaug.generators.bundle_reference import BundleReference
from monai_genaug.generators.network import NetworkGenerator
from monai_genaug.weights import file_sha256, read_weights
from tests.bundles.conftest import SEEDS

MEGABYTE = 10**6
LOCAL_PATH = re.compile(r"(?<![\w./])/(home|mnt|root|tmp|usr|work|Users)/")
Samples = dict[int | None, dict[str, Tensor]]


def config(folder: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "configs" / name).read_text())
    return content


def is_non_commercial(licence: str) -> bool:
    return "NC" in licence.split("-")


def test_weights_have_their_hash_and_fit_the_network(generator: NetworkGenerator, folder: Path) -> None:
    path = folder / "models" / "model.pt"
    assert generator.spec.sha256 == file_sha256(path)
    assert read_weights(path).keys() == generator.network.state_dict().keys()
    assert all(tensor.isfinite().all() for tensor in generator.network.state_dict().values())


def test_every_class_is_sampled(generator: NetworkGenerator, samples: Samples) -> None:
    spec = generator.spec
    for made, (name, output) in itertools.product(samples.values(), spec.outputs.items()):
        values = made[name]
        assert values.shape == (len(SEEDS), output.channels, *spec.spatial_shape)
        assert values.dtype == getattr(torch, output.dtype)
        assert values.isfinite().all()
        assert output.value_range[0] <= float(values.min()) < float(values.max()) <= output.value_range[1]
        assert not torch.equal(values[0], values[1])
        assert not torch.equal(values[1], values[2])


def test_classes_differ(samples: Samples) -> None:
    for one, other in itertools.combinations(samples.values(), 2):
        assert float((one["image"] - other["image"]).abs().mean()) > 0.005


def test_a_sample_depends_on_its_seed_and_class_alone(generator: NetworkGenerator, samples: Samples) -> None:
    state = torch.get_rng_state()
    last = list(samples)[-1]
    alone = generator.sample(SEEDS[-1:], last)
    assert torch.equal(torch.get_rng_state(), state)
    difference = (alone["image"][0] - samples[last]["image"][-1]).abs().max()
    low, high = generator.spec.outputs["image"].value_range
    assert float(difference) <= 1e-4 * (high - low)
    if "mask" in alone:
        assert (alone["mask"][0] == samples[last]["mask"][-1]).float().mean() > 0.999


def test_truncation(generator: NetworkGenerator, samples: Samples) -> None:
    first = next(iter(samples))
    if generator.spec.truncation:
        changed = generator.sample(SEEDS, first, truncation=0.5)["image"]
        assert changed.isfinite().all()
        assert not torch.equal(changed, samples[first]["image"])
    else:
        with pytest.raises(ValueError, match="truncation"):
            generator.sample(SEEDS, first, truncation=0.5)


def test_all_configs_build_the_same_network(generator: NetworkGenerator, folder: Path) -> None:
    described = config(folder, "generator.json")["network"]
    arguments = {key: value for key, value in described.items() if key != "_target_"}
    for name in ("train.json", "inference.json"):
        content = config(folder, name)
        assert content["network_args"] == arguments
        assert content["network_def"] == f"${described['_target_']}(**@network_args)"
    data, network = config(folder, "metadata.json")["network_data_format"], generator.network
    assert data["inputs"]["image"]["num_channels"] == network.code_dim
    assert data["outputs"]["pred"]["num_channels"] == network.image_channels + network.mask_classes
    assert data["outputs"]["pred"]["spatial_shape"] == list(network.spatial_shape)
    assert len(data["outputs"]["pred"]["channel_def"]) == network.image_channels + network.mask_classes


def test_metadata_say_what_the_spec_says(generator: NetworkGenerator, folder: Path) -> None:
    spec, metadata = generator.spec, config(folder, "metadata.json")
    assert spec.name == folder.name
    assert metadata["version"] == spec.version
    assert spec.version in metadata["changelog"]
    assert spec.modality
    assert spec.anatomy
    for number, label in (spec.classes or {}).items():
        assert f"{number} {label}" in metadata["image_classes"]


def test_configs_may_use_short_names(folder: Path) -> None:
    """Whatever of ours a config builds is found by its last name alone, and nothing else is."""
    named = {name for file in (folder / "configs").glob("*.json") for name in targets(json.loads(file.read_text()))}
    ours = sorted(name for name in named if name.startswith("monai_genaug."))
    assert len(ours) > 4
    for name in ours:
        parser = ConfigParser({"found": {"_target_": name.rpartition(".")[2], "_mode_": "callable"}})
        assert parser.get_parsed_content("found") is pydoc.locate(name)


def targets(content: Any) -> Iterator[str]:
    """The ``_target_`` of all components of a config."""
    if isinstance(content, dict) and "_target_" in content:
        yield content["_target_"]
    for value in content.values() if isinstance(content, dict) else content if isinstance(content, list) else ():
        yield from targets(value)


def test_no_local_paths(folder: Path) -> None:
    for path in (path for path in folder.rglob("*") if path.suffix in (".json", ".md")):
        found = LOCAL_PATH.search(path.read_text())
        assert found is None, f"{path}: {found}"


def test_provenance(generator: NetworkGenerator) -> None:
    spec, provenance = generator.spec, generator.spec.provenance
    assert provenance is not None
    assert provenance.dataset
    assert provenance.split
    assert provenance.recipe == "configs/train.json"
    assert provenance.item_hashes
    assert 0 < len(provenance.subject_hashes) <= len(provenance.item_hashes)
    assert provenance.data_licence == spec.data_licence == spec.weights_licence


def test_licence_says_what_the_weights_are_under(generator: NetworkGenerator, folder: Path) -> None:
    licence, text = generator.spec.weights_licence, (folder / "LICENSE").read_text()
    assert f"under the same licence,\n{licence}." in text or f"under the same licence, {licence}." in text
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
    (readme, first) = ((folder / "docs" / "README.md").read_text(), text.splitlines()[0])
    assert ("NON-COMMERCIAL" in first) == is_non_commercial(licence)
    assert ("**Not for commercial use**" in readme) == is_non_commercial(licence)
    assert licence.removeprefix("CC-").rsplit("-", 1)[0] in readme  # such as BY-NC


def test_bundles_are_small() -> None:
    files = [path for name in list_generators() for path in bundle_folder(name).rglob("*") if path.is_file()]
    sizes = {path: path.stat().st_size for path in files}
    assert max(sizes.values()) < 8 * MEGABYTE
    assert sum(size for path, size in sizes.items() if path.parent.name == "models") < 40 * MEGABYTE


def test_every_folder_of_bundles_is_a_bundle() -> None:
    first = bundle_folder(next(iter(list_generators())))
    folders = {path.name for path in first.parent.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == set(list_generators())
    for name in folders:
        assert BundleReference.read(first.parent / name).weights.is_file()
