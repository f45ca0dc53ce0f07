# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from monai_genaug.experiments.compress_bundle import compress_bundle
from monai_genaug.experiments.real_parts import LabelledImages
from monai_genaug.generators import Provenance, VAEGenerator, content_hash, load_generator, read_spec
from monai_genaug.generators.bundle_export import export_bundle
from monai_genaug.networks import RHVAE
from monai_genaug.quality.centroid_compression import compress_centroids
from monai_genaug.weights import file_sha256, read_weights
from tests.tiny_training import BUNDLE, NETWORK, SHAPE

VOLUMES = torch.rand(8, 1, *SHAPE, generator=torch.Generator().manual_seed(0))
SUBJECTS = tuple(f"s{i // 2}" for i in range(8))


def items(count: int = 8) -> LabelledImages:
    return LabelledImages((255 * VOLUMES[:count]).byte(), subjects=SUBJECTS[:count])


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose manifold has the code of each of eight volumes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = RHVAE(**NETWORK).eval()
    x = network.join(VOLUMES, torch.zeros(8, 1, *SHAPE))
    network.fit_generation([x], [])
    hashes = tuple(content_hash(volume, (0.0, 1.0)) for volume in VOLUMES)
    spec = dataclasses.replace(
        read_spec(BUNDLE),
        spatial_shape=SHAPE,
        provenance=Provenance("toy", item_hashes=hashes),
    )
    return export_bundle(network, NETWORK, spec, BUNDLE, tmp_path_factory.mktemp("bundles") / "source")


def test_the_new_bundle_differs_in_its_manifold_and_says_so(source: Path, tmp_path: Path) -> None:
    before = {path: file_sha256(path) for path in source.rglob("*") if path.is_file()}
    made = compress_bundle(source, tmp_path / "made", "0.9.0", items(), 2, width=0.8)
    assert {path: file_sha256(path) for path in source.rglob("*") if path.is_file()} == before
    old, new = load_generator(source), load_generator(made)
    assert isinstance(old, VAEGenerator)
    assert isinstance(new, VAEGenerator)
    assert new.spec.version == "0.9.0"
    assert new.spec.replace(version=old.spec.version, sha256=old.spec.sha256) == old.spec
    assert new.spec.sha256 == file_sha256(made / "models" / "model.pt") != old.spec.sha256
    expected = compress_centroids(old.network.latent, 2, SUBJECTS, width=0.8)
    assert len(new.network.latent.metric.centroids) == 2
    assert torch.equal(new.network.latent.metric.centroids, expected.metric.centroids)
    assert torch.equal(new.network.latent.metric.temperature, expected.metric.temperature)
    first, second = (read_weights(folder / "models" / "model.pt") for folder in (source, made))
    assert list(first) == list(second)
    assert all(torch.equal(first[name], second[name]) for name in first if "latent." not in name)
    assert not torch.equal(old.sample([3])["image"], new.sample([3])["image"])


def test_the_new_recipe_ends_where_the_command_does(source: Path, tmp_path: Path) -> None:
    made = compress_bundle(source, tmp_path / "made", "0.9.0", items(), 2)
    config = json.loads((made / "configs" / "train.json").read_text())
    assert (config["min_subjects"], config["centroid_width"]) == (2, None)
    (handler,) = (one for one in config["handlers"] if "BundleExport" in str(one))
    assert (handler["min_subjects"], handler["centroid_width"]) == ("@min_subjects", "@centroid_width")
    metadata = json.loads((made / "configs" / "metadata.json").read_text())
    assert metadata["version"] == "0.9.0"
    assert "at least 2 training subjects" in metadata["changelog"]["0.9.0"]
    assert metadata["changelog"]["0.1.0"] == "first release"


def test_items_that_are_not_those_of_the_training_are_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="was trained on 8 items, 6 are given"):
        compress_bundle(source, tmp_path / "made", "0.9.0", items(6), 2)
    assert not (tmp_path / "made").exists()
    with pytest.raises(FileExistsError):
        compress_bundle(source, tmp_path, "0.9.0", items(), 2)
