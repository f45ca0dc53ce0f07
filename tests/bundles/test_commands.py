# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""``python -m monai.bundle`` on every shipped bundle, and on one that a one-epoch training exported."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import monai.bundle
import monai.utils
import nibabel
import numpy as np
import pytest
import torch
from ignite.engine import Engine, Events
from PIL import Image

from monai_genaug.data.decathlon import decathlon_items, select_split
from monai_genaug.generators import (
    GeneratorSpec,
    bundle_folder,
    content_hash,
    list_generators,
    load_generator,
    subject_hash,
)
from monai_genaug.generators.network import NetworkGenerator
from monai_genaug.networks.per_class_vae import PerClassVAE
from monai_genaug.weights import read_weights
from tests.tiny_training import BUNDLE, CONFIGS, SHAPE, write_overlay, write_volumes

SCHEMA = Path(__file__).with_name("bundle_schema.json")
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Trained:
    """What a training left behind."""

    data: Path
    split: Path
    output: Path

    @property
    def bundle(self) -> Path:
        return self.output / "bundle"


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-W", "ignore", "-m", "monai.bundle", *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=250)


def fingerprint(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("training")
    data, overlay = write_volumes(folder / "data"), write_overlay(folder)
    arguments = ["--config_file", f"['{CONFIGS / 'train.json'}','{overlay}']", "--bundle_root", str(BUNDLE)]
    arguments += ["--dataset_dir", str(data), "--output_dir", str(folder / "out"), "--trainer#max_epochs", "1"]
    before = fingerprint(BUNDLE)
    done = command("run", *arguments)
    assert done.returncode == 0, done.stderr[-3000:]
    assert fingerprint(BUNDLE) == before, "training wrote into the installed bundle"
    return Trained(data, folder / "split.json", folder / "out")


def test_training_leaves_log_pictures_and_checkpoints(trained: Trained) -> None:
    names = set(fingerprint(trained.output))
    assert {"log.csv", "checkpoints/last.pt"} <= names
    assert any(name.startswith("tensorboard/") for name in names)
    assert {"samples/epoch_0001.png", "samples/epoch_0001_reconstructed.png"} <= names
    assert len((trained.output / "log.csv").read_text().splitlines()) == 2


def test_exported_bundle_samples(trained: Trained) -> None:
    generator = load_generator(trained.bundle)
    samples = generator.sample(range(3))
    assert samples["image"].shape == samples["mask"].shape == (3, 1, *SHAPE)
    assert not torch.equal(samples["image"][0], samples["image"][1])
    assert generator.spec.name == "hippocampus_mri_rhvae"


def test_exported_bundle_knows_its_training_volumes(trained: Trained) -> None:
    generator = load_generator(trained.bundle)
    provenance = generator.spec.provenance
    assert provenance is not None
    items = select_split(decathlon_items(trained.data), trained.split, "train")
    chain = generator.preprocessing(("image", "label"))
    hashes = [content_hash(chain({key: item[key] for key in ("image", "label")})["image"]) for item in items]
    assert list(provenance.item_hashes) == hashes
    assert len(set(hashes)) == len(items)
    expected = {subject_hash(str(item["subject"]), provenance.subject_salt) for item in items}
    assert set(provenance.subject_hashes) == expected


def test_exported_centroids_are_the_codes_of_the_exported_encoder(trained: Trained) -> None:
    generator = load_generator(trained.bundle)
    items = select_split(decathlon_items(trained.data), trained.split, "train")
    chain = generator.preprocessing(("image", "label"))
    volumes = [chain({key: item[key] for key in ("image", "label")}) for item in items]
    batch = {name: torch.stack([v[key] for v in volumes]) for name, key in (("image", "image"), ("mask", "label"))}
    centroids = read_weights(trained.bundle / "models" / "model.pt")["latent.metric.centroids"]
    torch.testing.assert_close(generator.encode(batch), centroids, rtol=1e-4, atol=1e-4)  # type: ignore[attr-defined]


@pytest.fixture
def no_determinism() -> Iterator[None]:
    """``train.json`` sets MONAI's global seed, which other tests must not see."""
    yield
    monai.utils.set_determinism(None)


def workflow(trained: Trained, output: Path) -> monai.bundle.ConfigWorkflow:
    training = monai.bundle.ConfigWorkflow(
        workflow_type="train",
        config_file=[str(CONFIGS / "train.json"), str(trained.split.with_name("tiny.json"))],
        bundle_root=str(BUNDLE),
        dataset_dir=str(trained.data),
        output_dir=str(output),
        **{"trainer#max_epochs": 3, "handlers#2#interval": 1},
    )
    training.initialize()
    return training


def test_a_training_that_was_cut_off_goes_on_to_the_same_bundle(
    trained: Trained, tmp_path: Path, no_determinism: None
) -> None:
    workflow(trained, tmp_path / "straight").run()
    cut = workflow(trained, tmp_path / "cut")

    def cut_off(engine: Engine) -> None:
        raise KeyboardInterrupt

    cut.parser.get_parsed_content("trainer").add_event_handler(Events.ITERATION_COMPLETED(once=7), cut_off)
    with pytest.raises(KeyboardInterrupt):
        cut.run()
    assert (tmp_path / "cut" / "checkpoints" / "best.pt").is_file()
    assert not (tmp_path / "cut" / "bundle").exists()
    workflow(trained, tmp_path / "cut").run()
    straight, resumed = (read_weights(tmp_path / name / "bundle/models/model.pt") for name in ("straight", "cut"))
    assert straight.keys() == resumed.keys()
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)


def test_two_ranks_train_by_the_overlay(trained: Trained, tmp_path: Path) -> None:
    configs = [CONFIGS / "train.json", CONFIGS / "multi_gpu_train.json", trained.split.with_name("tiny.json")]
    line = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    line += ["-m", "monai.bundle", "run", "--config_file", str([str(path) for path in configs])]
    line += ["--bundle_root", str(BUNDLE), "--dataset_dir", str(trained.data), "--output_dir", str(tmp_path / "out")]
    line += ["--trainer#max_epochs", "1", "--handlers#2#interval", "1"]
    done = subprocess.run(
        line, capture_output=True, text=True, timeout=250, env={**os.environ, "OMP_NUM_THREADS": "1"}, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert len((tmp_path / "out" / "log.csv").read_text().splitlines()) == 2
    spec = load_generator(tmp_path / "out" / "bundle").spec
    assert spec.provenance is not None
    assert "val_elbo" in spec.provenance.metrics


@pytest.fixture(params=["exported", *list_generators()])
def bundle(request: pytest.FixtureRequest) -> Path:
    """The exported bundle, or a shipped one."""
    name = str(request.param)
    return request.getfixturevalue("trained").bundle if name == "exported" else bundle_folder(name)


def test_run_inference(bundle: Path, tmp_path: Path) -> None:
    monai.bundle.run(
        config_file=str(bundle / "configs" / "inference.json"),
        bundle_root=str(bundle),
        output_dir=str(tmp_path),
        num_samples=2,
        device="$torch.device('cpu')",
    )
    generator = load_generator(bundle)
    samples = generator.sample(range(2), None if generator.spec.classes is None else [0, 1])
    written = {path.name.split(".")[0] for path in tmp_path.iterdir()}
    assert written == {f"{index}_{name}" for index in range(2) for name in samples}
    for index in range(2):
        check = same_picture if len(generator.spec.spatial_shape) == 2 else same_volume
        check(tmp_path, index, {name: values[index] for name, values in samples.items()}, generator.spec)


def same_picture(folder: Path, index: int, sample: dict[str, torch.Tensor], spec: GeneratorSpec) -> None:
    with Image.open(folder / f"{index}_image.png") as picture:
        levels = torch.from_numpy(np.atleast_3d(np.asarray(picture)).copy()).movedim(-1, 0)
    assert levels.dtype == torch.uint8
    assert levels.shape == sample["image"].shape
    assert float((levels / 255 - sample["image"]).abs().max()) <= 1 / 255 + 1e-4  # cut off to whole levels


def same_volume(folder: Path, index: int, sample: dict[str, torch.Tensor], spec: GeneratorSpec) -> None:
    image = nibabel.load(folder / f"{index}_image.nii.gz")
    np.testing.assert_allclose(image.get_fdata(), sample["image"][0].numpy(), atol=1e-4)
    if spec.spacing is not None:
        assert image.header.get_zooms() == spec.spacing
        assert "".join(nibabel.aff2axcodes(image.affine)) == spec.orientation
    if "mask" in sample:
        mask = nibabel.load(folder / f"{index}_mask.nii.gz")
        assert (np.asarray(mask.dataobj) == sample["mask"][0].numpy()).mean() > 0.999


def test_verify_net_in_out(bundle: Path) -> None:
    monai.bundle.verify_net_in_out(
        "network_def",
        meta_file=str(bundle / "configs" / "metadata.json"),
        config_file=str(bundle / "configs" / "inference.json"),
        device="cpu",
    )


def test_ckpt_export(bundle: Path, tmp_path: Path) -> None:
    generator = load_generator(bundle)
    assert isinstance(generator, NetworkGenerator)
    if isinstance(generator.network, PerClassVAE):
        pytest.skip("the class chooses the network: a trace would keep the path of one class; the card says so")
    codes = generator.codes(range(3), None if generator.spec.classes is None else [0, 1, 0])
    monai.bundle.ckpt_export(
        "network_def",
        filepath=str(tmp_path / "model.ts"),
        ckpt_file=str(bundle / "models" / "model.pt"),
        meta_file=str(bundle / "configs" / "metadata.json"),
        config_file=str(bundle / "configs" / "inference.json"),
        use_trace=True,
        input_shape=[1, codes.shape[1]],
    )
    exported = torch.jit.load(tmp_path / "model.ts")
    with torch.no_grad():
        torch.testing.assert_close(exported(codes), generator.network(codes), rtol=1e-4, atol=1e-4)


def test_workflow_offers_the_sampler(trained: Trained) -> None:
    workflow = monai.bundle.ConfigWorkflow(
        workflow_type="inference",
        config_file=str(trained.bundle / "configs" / "inference.json"),
        meta_file=str(trained.bundle / "configs" / "metadata.json"),
        bundle_root=str(trained.bundle),
        device="$torch.device('cpu')",
    )
    workflow.add_property("sampler", True, "sampler")
    workflow.initialize()
    assert workflow.check_properties() == []
    assert workflow.sampler.sample([5])["image"].shape == (1, 1, *SHAPE)


CORRUPTIONS: dict[str, Callable[[dict[str, Any]], object]] = {
    "no version": lambda m: m.pop("version"),
    "version is a number": lambda m: m.update(version=1.0),
    "version is a word": lambda m: m.update(monai_version="newest"),
    "no task": lambda m: m.pop("task"),
    "empty description": lambda m: m.update(description=""),
    "packages are a list": lambda m: m.update(required_packages_version=["nibabel"]),
    "no data format": lambda m: m.pop("network_data_format"),
    "no outputs": lambda m: m["network_data_format"].pop("outputs"),
    "no channels": lambda m: m["network_data_format"]["inputs"]["image"].update(num_channels=0),
    "unknown type": lambda m: m["network_data_format"]["outputs"]["pred"].update(type="picture"),
    "patch flag is text": lambda m: m["network_data_format"]["outputs"]["pred"].update(is_patch_data="no"),
    "shape is a number": lambda m: m["network_data_format"]["outputs"]["pred"].update(spatial_shape=48),
    "channel is not numbered": lambda m: m["network_data_format"]["outputs"]["pred"].update(channel_def={"a": "b"}),
}


def verify_metadata(path: Path, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_bytes(SCHEMA.read_bytes())  # an existing file is used instead of a download
    monai.bundle.verify_metadata(meta_file=str(path), filepath=str(schema))


def test_verify_metadata(bundle: Path, tmp_path: Path) -> None:
    verify_metadata(bundle / "configs" / "metadata.json", tmp_path)


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_schema_rejects(corruption: str, tmp_path: Path) -> None:
    metadata = copy.deepcopy(json.loads((CONFIGS / "metadata.json").read_text()))
    CORRUPTIONS[corruption](metadata)
    (tmp_path / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(ValueError, match=r"."):
        verify_metadata(tmp_path / "metadata.json", tmp_path)
