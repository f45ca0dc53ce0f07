# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A folder of pictures or volumes becomes a bundle: what it holds, what it can do, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import monai.bundle
import nibabel
import numpy as np
import pytest
import torch
from PIL import Image

from monai_genaug.blueprints import train_on_folder
from monai_genaug.data import class_folder_items
from monai_genaug.engines import NonFiniteLossError
from monai_genaug.generators import DiffusionGenerator, content_hash, load_generator
from monai_genaug.weights import read_weights
from tests.class_pictures import CLASSES, write_class_pictures, write_pictures

SCHEMA = Path(__file__).parents[1] / "bundles" / "bundle_schema.json"
TINY: dict[str, Any] = {"size": 9, "epochs": 1}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_class_pictures(tmp_path_factory.mktemp("owner") / "patients_of_mine", channels=3)


@pytest.fixture(scope="module")
def bundle(data: Path) -> Path:
    return train_on_folder(data, data.parent / "lesions", data_licence="CC0-1.0", **TINY)


def test_spec(bundle: Path, data: Path) -> None:
    spec = load_generator(bundle).spec
    assert (spec.name, spec.spatial_shape, spec.outputs["image"].channels) == ("lesions", (9, 9), 3)
    assert spec.classes == dict(enumerate(CLASSES))
    assert spec.data_licence == spec.weights_licence == "CC0-1.0"
    items = json.loads((data.parent / "lesions" / "datalist.json").read_text())
    prepare = load_generator(bundle).preprocessing(["image"])
    images = [prepare({"image": str(data / item["image"])})["image"] for item in items["training"]]
    assert spec.provenance is not None
    assert list(spec.provenance.item_hashes) == [content_hash(image) for image in images]
    assert len(items["training"]) + len(items["validation"]) == 14


def test_the_bundle_names_no_file_and_no_folder_of_the_data(bundle: Path, data: Path) -> None:
    files = [path for path in bundle.rglob("*") if path.is_file()]
    names = {path.relative_to(bundle).as_posix() for path in files}
    configs = {f"configs/{name}.json" for name in ("train", "inference", "generator", "metadata")}
    assert names == configs | {"models/model.pt", "docs/README.md", "docs/samples.png", "LICENSE"}
    for path in files:
        content = path.read_bytes()
        for secret in ("patient_", data.name, str(data.parent), data.parent.name, str(Path.home()) + "/"):
            assert secret.encode() not in content, f"{path} holds {secret!r}"


def test_run_inference_writes_the_samples_as_pictures(bundle: Path, tmp_path: Path) -> None:
    config = str(bundle / "configs" / "inference.json")
    monai.bundle.run(
        config_file=config,
        bundle_root=str(bundle),
        output_dir=str(tmp_path),
        num_samples=3,
        device="$torch.device('cpu')",
    )
    samples = load_generator(bundle).sample(range(3), [0, 1, 0])["image"]
    for index in range(3):
        picture = np.asarray(Image.open(tmp_path / f"{index}_image.png"))
        expected = 255.0 * samples[index].permute(1, 2, 0).numpy()
        assert np.abs(picture - expected).max() <= 1.0
        assert np.abs(picture - expected.transpose(1, 0, 2)).max() > 1.0


def test_the_bundle_is_a_valid_one(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_bytes(SCHEMA.read_bytes())
    metadata = str(bundle / "configs" / "metadata.json")
    monai.bundle.verify_metadata(meta_file=metadata, filepath=str(tmp_path / "schema.json"))
    config = str(bundle / "configs" / "inference.json")
    monai.bundle.verify_net_in_out("network_def", meta_file=metadata, config_file=config, device="cpu")


def test_the_bundle_trains_again(bundle: Path, data: Path, tmp_path: Path) -> None:
    workflow = monai.bundle.ConfigWorkflow(
        workflow_type="train",
        config_file=str(bundle / "configs" / "train.json"),
        bundle_root=str(bundle),
        dataset_dir=str(data),
        output_dir=str(tmp_path / "again"),
        datalist=str(data.parent / "lesions" / "datalist.json"),
        initialize=[],
        passes_per_epoch=1,
        **{"handlers#5#interval": 9},
    )
    workflow.initialize()
    workflow.run()
    again, first = load_generator(tmp_path / "again" / "bundle").spec, load_generator(bundle).spec
    assert again.provenance is not None
    assert first.provenance is not None
    assert again.provenance.item_hashes == first.provenance.item_hashes


def test_a_complete_training_stays(bundle: Path, data: Path) -> None:
    with pytest.raises(FileExistsError, match="this training is complete"):
        train_on_folder(data, bundle.parent, **TINY)


def test_a_picture_that_is_missing_is_drawn(bundle: Path, data: Path) -> None:
    picture = bundle / "docs" / "samples.png"
    before = picture.read_bytes()
    picture.unlink()
    assert train_on_folder(data, bundle.parent, **TINY) == bundle
    assert picture.read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs is 0, allowed: 1"),
        ({"lr": 0.0}, "lr is 0.0, allowed: positive"),
        ({"lr": float("inf")}, "lr is inf, allowed: positive"),
        ({"size": 4}, "size is 4, allowed"),
        ({"model": "flow"}, "model is 'flow', allowed"),
        ({"name": "@home"}, "'@home'"),
    ],
)
def test_bad_values_train_nothing(changes: dict[str, Any], message: str, data: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        train_on_folder(data, tmp_path / "out", **{**TINY, **changes})
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_folders_that_cannot_be_written_to(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="lies inside the data"):
        train_on_folder(data, data / "run", **TINY)
    (tmp_path / "source").mkdir()
    with pytest.raises(FileExistsError, match="holds no training"):
        train_on_folder(data, tmp_path, **TINY)
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        train_on_folder(tmp_path / "nowhere", tmp_path / "out", **TINY)


def test_volumes_and_an_image_that_only_reading_finds(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(7):
        image = nibabel.Nifti1Image(rng.random((9, 8, 6 + number % 2)).astype(np.float32), np.diag([1, 1, 2, 1.0]))
        (tmp_path / "data").mkdir(exist_ok=True)
        nibabel.save(image, tmp_path / "data" / f"scan_{number}.nii.gz")
    broken = tmp_path / "data" / "scan_9.nii.gz"
    broken.write_bytes((tmp_path / "data" / "scan_0.nii.gz").read_bytes()[:900])
    with pytest.raises(ValueError, match=r"1 of 8 images cannot be used: \S+/scan_9.nii.gz"):
        train_on_folder(tmp_path / "data", tmp_path / "out", "vae", size=8, epochs=1)
    assert not (tmp_path / "out" / "checkpoints").exists()
    broken.unlink()
    bundle = train_on_folder(tmp_path / "data", tmp_path / "out", "vae", size=8, epochs=1)
    generator = load_generator(bundle)
    assert generator.spec.spacing == (1.75,) * 3
    monai.bundle.run(
        config_file=str(bundle / "configs" / "inference.json"),
        bundle_root=str(bundle),
        output_dir=str(tmp_path / "made"),
        num_samples=1,
        device="$torch.device('cpu')",
    )
    written = nibabel.load(tmp_path / "made" / "0_image.nii.gz").get_fdata()
    np.testing.assert_allclose(written, generator.sample([0])["image"][0, 0].numpy(), atol=1e-4)


@pytest.mark.parametrize("model", ["diffusion", "latent_diffusion"])
def test_a_diffusion_model_of_classes(model: str, tmp_path: Path) -> None:
    write_pictures(tmp_path / "data" / "a")
    write_pictures(tmp_path / "data" / "b")
    generator = load_generator(train_on_folder(tmp_path / "data", tmp_path / "out", model, size=8, epochs=1))
    assert isinstance(generator, DiffusionGenerator)
    assert generator.spec.classes == {0: "a", 1: "b"}
    assert generator.sample([1, 2], ["a", "b"])["image"].shape == (2, 1, 8, 8)


def test_a_latent_diffusion_model_has_two_stages(tmp_path: Path) -> None:
    """A run that was stopped between them goes on with the second one, to the same weights."""
    data, straight, stopped = write_pictures(tmp_path / "data"), tmp_path / "straight", tmp_path / "stopped"
    options: dict[str, Any] = {"model": "latent_diffusion", "size": 8, "epochs": 1, "name": "toy"}
    train_on_folder(data, straight, **options)
    assert (straight / "samples" / "epoch_0001_reconstructed.png").is_file()
    assert {line.split(",")[1] for line in (straight / "autoencoder_log.csv").read_text().splitlines()[:1]} == {"loss"}
    shutil.copytree(straight, stopped)
    shutil.rmtree(stopped / "bundle")
    (stopped / "checkpoints" / "last.pt").unlink()
    with pytest.raises(NonFiniteLossError, match=r"autoencoder.last\.pt, after epoch 1"):
        train_on_folder(data, stopped, lr=1e38, **options)
    train_on_folder(data, stopped, lr=5e-4, **options)
    ours, theirs = (read_weights(out / "bundle" / "models" / "model.pt") for out in (straight, stopped))
    assert ours["scale_factor"] != 1.0
    assert all(torch.equal(ours[name], theirs[name]) for name in ours.keys() | theirs.keys())


def test_a_gan_and_flat_folders(tmp_path: Path) -> None:
    write_pictures(tmp_path / "data")
    generator = load_generator(train_on_folder(tmp_path / "data", tmp_path / "out", "sngan", size=8, epochs=1))
    assert generator.spec.classes is None
    assert generator.sample([1])["image"].shape == (1, 1, 8, 8)
    assert all("label" not in item for item in class_folder_items(tmp_path / "data"))
