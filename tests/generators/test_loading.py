# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from monai_genaug.generators import (
    GeneratorSpec,
    NetworkGenerator,
    SamplePool,
    VAEGenerator,
    build_pool,
    bundle_folder,
    list_generators,
    load_generator,
    loading,
    read_spec,
)
from monai_genaug.generators.loading import bundle_path
from monai_genaug.weights import (
    MissingWeightsError,
    UnsafeWeightsError,
    WeightsHashError,
    WeightsMismatchError,
    file_sha256,
    save_weights,
)
from tests.test_weights import _Hostile
from tests.toy import toy_generator, toy_network, write_toy_bundle
from tests.toy_families import family_generator, family_network, write_family_bundle

SHAPE = (8, 8)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_toy_bundle(tmp_path / "toy_bundle", SHAPE)


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with two bundles, and folders that are none."""
    folder = tmp_path / "bundles"
    for name in ("knee_mri_vae", "brain_mri_vae"):
        write_toy_bundle(folder / name, SHAPE)
    (folder / "__pycache__").mkdir()
    monkeypatch.setattr(loading, "_BUNDLES", folder)
    return folder


def edit(bundle: Path, change: Any) -> None:
    path = bundle / "configs" / "generator.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))


def test_bundle_folder_makes_the_same_samples_as_its_network(bundle: Path) -> None:
    expected = toy_generator(SHAPE).sample([1, 2, 3])
    for source in (bundle, str(bundle)):
        samples = load_generator(source).sample([1, 2, 3])
        assert all(torch.equal(samples[name], expected[name]) for name in expected)


def test_generators_are_returned_as_they_are() -> None:
    generator = toy_generator(SHAPE)
    assert load_generator(generator) is generator


def test_pool_folder_is_opened(tmp_path: Path) -> None:
    pool = build_pool(toy_generator(SHAPE), 3, tmp_path / "pool", progress=False)
    opened = load_generator(tmp_path / "pool")
    assert isinstance(opened, SamplePool)
    assert opened.spec == pool.spec


def test_shipped_generators_are_listed_and_loaded_by_name(shipped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(list_generators()) == ["brain_mri_vae", "knee_mri_vae"]
    assert all(isinstance(spec, GeneratorSpec) and spec.name == name for name, spec in list_generators().items())
    assert bundle_folder("knee_mri_vae") == shipped / "knee_mri_vae"
    assert load_generator("knee_mri_vae").spec.name == "knee_mri_vae"
    monkeypatch.chdir(shipped)
    write_toy_bundle(shipped / "elsewhere" / "knee_mri_vae", SHAPE)
    monkeypatch.chdir(shipped / "elsewhere")
    assert load_generator("knee_mri_vae")._reference.folder == shipped / "knee_mri_vae"  # type: ignore[attr-defined]
    assert load_generator("./knee_mri_vae")._reference.folder.parent.name == "elsewhere"  # type: ignore[attr-defined]


def test_unknown_name_lists_the_known_ones(shipped: Path) -> None:
    for find in (load_generator, bundle_folder):
        with pytest.raises(ValueError, match=r"\['brain_mri_vae', 'knee_mri_vae'\]. Did you mean 'knee_mri_vae'\?"):
            find("knee_mri_vea")
    with pytest.raises(ValueError, match=r"\['brain_mri_vae', 'knee_mri_vae'\]. It is not in .* trust=True"):
        load_generator("xyz")
    with pytest.raises(ValueError, match=r"'\.\./bundles/knee_mri_vae' is neither"):
        bundle_folder("../bundles/knee_mri_vae")


def test_the_package_s_own_bundles_can_be_listed() -> None:
    assert all(bundle_folder(name).is_dir() for name in list_generators())


def test_folder_without_bundle_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"neither a generator bundle \(configs/generator.json\)"):
        load_generator(tmp_path)
    with pytest.raises(ValueError, match=r"it has no configs/generator.json"):
        VAEGenerator.from_bundle(tmp_path)


def test_loading_reads_no_weights_until_they_are_needed(bundle: Path) -> None:
    generator = load_generator(bundle)
    weights = bundle / "models" / "model.pt"
    data = weights.read_bytes()
    weights.unlink()
    with pytest.raises(MissingWeightsError, match=r"models/model\.pt"):
        generator.sample([1])
    weights.write_bytes(data)
    assert len(generator.sample([1])["image"]) == 1  # the failure left nothing behind


def test_corrupt_weights_are_refused(bundle: Path) -> None:
    weights = bundle / "models" / "model.pt"
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    with pytest.raises(WeightsHashError, match="expected"):
        load_generator(bundle).sample([1])


def test_weights_of_another_network_are_refused(bundle: Path) -> None:
    sha256 = save_weights(toy_network((16, 16), mask=False).state_dict(), bundle / "models" / "model.pt")
    edit(bundle, lambda config: config["spec"].update(sha256=sha256))
    with pytest.raises(WeightsMismatchError, match="size mismatch"):
        load_generator(bundle).sample([1])


def test_hostile_weights_are_not_run(bundle: Path, tmp_path: Path) -> None:
    weights, marker = bundle / "models" / "model.pt", tmp_path / "executed"
    torch.save({"w": _Hostile(marker)}, weights)
    sha256 = file_sha256(weights)  # an attacker can state the right hash
    edit(bundle, lambda config: config["spec"].update(sha256=sha256))
    with pytest.raises(UnsafeWeightsError):
        load_generator(bundle).sample([1])
    assert not marker.exists()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda c: c["network"].update(likelihood="$__import__('os').system('true')"), r"network.likelihood.*\(\$\)"),
        (lambda c: c["network"].update(channels=[4, " $8"]), r"network.channels.1"),
        (lambda c: c["network"].update(latent_dim="@spec#name"), "references"),
        (lambda c: c["network"].update(latent_dim="%configs/other.json"), "macros"),
        (lambda c: c["spec"].update(name="$1"), "spec.name"),
        (lambda c: c["network"].update({"$x": 1}), "network: key"),
        (lambda c: c["network"].update(_target_="os.system"), r"_target_ is 'os.system', allowed: .*RHVAE"),
        (lambda c: c["network"].update(_target_="monai.bundle.run"), "_target_ is 'monai.bundle.run'"),
        (lambda c: c["network"].update(_target_="monai_genaug.weights.save_weights"), "_target_ is"),
        (lambda c: c["network"].update(_target_=["monai_genaug.networks.VAE"]), "_target_ is"),
        (lambda c: c["network"].pop("_target_"), "_target_ is None"),
        (lambda c: c.update(network="monai_genaug.networks.VAE"), "network._target_ is"),
        (lambda c: c["network"].update(latent={"_target_": "builtins.eval"}), "network.latent._target_"),
        (lambda c: c["network"].update(latent={"latent_dim": 4}), "network.latent._target_ is None"),
        (lambda c: c["network"].update(_requires_="x"), "network._requires_"),
        (lambda c: c["network"].update(channels=[[4], 8]), "network.channels: a list may hold scalars only"),
        (lambda c: c["network"].update(channels=[{"_target_": "os.system"}]), "network.channels: a list"),
        (lambda c: c.update(weights="../model.pt"), r"'../model.pt' lie outside"),
        (lambda c: c.update(weights="/etc/passwd"), "outside the bundle folder"),
        (lambda c: c.update(weights=3), "weights is 3"),
        (lambda c: c.update(format="monai_genaug.generator/2"), "format is 'monai_genaug.generator/2', expected"),
        (lambda c: c.update(imports=["os"]), r"fields are .*'imports'.*expected"),
        (lambda c: c.pop("weights"), r"fields are"),
        (lambda c: c["spec"].update(sha256=""), "spec.sha256 is ''"),
        (lambda c: c["spec"].update(colour="red"), r"unknown fields \['colour'\]"),
        (lambda c: c["spec"].update(spatial_shape=8), "generator.json"),
        (lambda c: c["spec"].update(outputs=["image"]), "generator.json"),
        (lambda c: c.update(spec=None), "generator.json"),
    ],
)
def test_config_that_is_more_than_data_is_refused(bundle: Path, change: Any, text: str) -> None:
    edit(bundle, change)
    with pytest.raises(ValueError, match=text):
        load_generator(bundle)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": NaN}', "\xff"])
def test_file_that_is_no_json_is_refused(bundle: Path, text: str) -> None:
    (bundle / "configs" / "generator.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"generator\.json: "):
        load_generator(bundle)


def test_link_out_of_the_bundle_is_refused(bundle: Path, tmp_path: Path) -> None:
    weights = bundle / "models" / "model.pt"
    shutil.move(weights, tmp_path / "outside.pt")
    weights.symlink_to(tmp_path / "outside.pt")
    with pytest.raises(ValueError, match="outside the bundle folder"):
        load_generator(bundle)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda c: c["network"].update(colour="red"), "colour"),
        (lambda c: c["network"].update(spatial_dims=4), "spatial_dims"),
        (
            lambda c: c.update(network={"_target_": "monai_genaug.latent.NormalLatent", "latent_dim": 4}),
            "no LatentDecoder",
        ),
        (lambda c: c["spec"].update(truncation=False), "truncation: spec False, network True"),
    ],
)
def test_network_that_cannot_be_built_is_refused_when_it_is_needed(bundle: Path, change: Any, text: str) -> None:
    edit(bundle, change)
    with pytest.raises(ValueError, match=text):
        load_generator(bundle).sample([1])


def test_nested_latent_distribution_is_built(bundle: Path) -> None:
    latent = {"_target_": "monai_genaug.latent.TruncatedNormalLatent", "latent_dim": 4, "bound": 2.0}
    network = toy_network(SHAPE)
    state = {**network.state_dict(), "latent.bound": torch.tensor(0.25)}
    sha256 = save_weights(state, bundle / "models" / "model.pt")
    edit(bundle, lambda config: (config["network"].update(latent=latent), config["spec"].update(sha256=sha256)))
    generator = load_generator(bundle)
    assert isinstance(generator, VAEGenerator)
    assert 0.2 < generator.sample_latent(range(50)).abs().max() <= 0.25


def test_unpickling_notices_a_bundle_that_has_changed(bundle: Path) -> None:
    data = pickle.dumps(load_generator(bundle))
    edit(bundle, lambda config: config["spec"].update(version="9.9.9"))
    with pytest.raises(ValueError, match="has changed: its sha256 is"):
        pickle.loads(data)


def test_pickle_stays_small_with_thousands_of_training_items(bundle: Path) -> None:
    provenance = {"dataset": "big", "item_hashes": [f"{i:032x}" for i in range(5000)]}
    edit(bundle, lambda config: config["spec"].update(provenance=provenance))
    generator = load_generator(bundle)
    generator.sample([1])
    assert len(pickle.dumps(generator)) < 1000
    assert pickle.loads(pickle.dumps(generator)).spec == generator.spec


def test_relative_path_survives_a_change_of_folder(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bundle.parent)
    generator = load_generator(bundle.name)
    monkeypatch.chdir("/")
    assert len(generator.sample([1])["image"]) == 1


@pytest.mark.parametrize(
    ("kind", "maker"),
    [
        ("conditional_vae", VAEGenerator),
        ("joint_vae", VAEGenerator),
        ("per_class_vae", VAEGenerator),
        ("gan", NetworkGenerator),
        ("conditional_gan", NetworkGenerator),
    ],
)
def test_every_family_is_loaded_by_the_generator_that_fits_it(kind: str, maker: type[Any], tmp_path: Path) -> None:
    generator = load_generator(write_family_bundle(tmp_path / kind, kind))
    assert type(generator) is maker
    expected = family_generator(kind)
    labels = [0, 1, 1] if generator.spec.classes else None
    assert torch.equal(generator.sample([1, 2, 3], labels)["image"], expected.sample([1, 2, 3], labels)["image"])
    assert read_spec(tmp_path / kind) == generator.spec


def test_nested_latents_of_classes_are_built(tmp_path: Path) -> None:
    folder = write_family_bundle(tmp_path / "cvae", "conditional_vae")
    member = {"_target_": "monai_genaug.latent.TruncatedNormalLatent", "latent_dim": 4, "bound": 2.0}
    latent = {"_target_": "monai_genaug.latent.ClassWiseLatent", "n_classes": 2, "member": member}
    state = family_network("conditional_vae").state_dict()
    own = {f"latent.members.{k}.bound": torch.tensor(0.1 + k) for k in range(2)}
    spreads = {f"latent.members.{k}.spread": torch.ones(4) for k in range(2)}
    sha256 = save_weights({**state, **own, **spreads}, folder / "models" / "model.pt")
    edit(folder, lambda config: (config["network"].update(latent=latent), config["spec"].update(sha256=sha256)))
    generator = load_generator(folder)
    assert isinstance(generator, VAEGenerator)
    assert [generator.sample_latent(range(50), k).abs().max() < 0.1 + 1e-6 for k in range(2)] == [True, False]


def test_spec_is_read_without_weights(bundle: Path) -> None:
    (bundle / "models" / "model.pt").unlink()
    assert read_spec(str(bundle)).name == "toy_bundle"
    with pytest.raises(ValueError, match=r"it has no configs/generator.json"):
        read_spec(bundle / "models")


def test_a_shipped_name_goes_before_a_folder_of_that_name(bundle: Path) -> None:
    assert bundle_path("breast_us_cgan") == bundle_folder("breast_us_cgan")
    assert bundle_path("./breast_us_cgan") == Path("breast_us_cgan")
    assert bundle_path(str(bundle)) == bundle
