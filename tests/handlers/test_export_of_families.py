# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Export of networks with classes and of networks without encoder, from items in memory and from files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine
from PIL import Image
from torch.nn.modules.batchnorm import _BatchNorm

from monai_genaug.generators import GeneratorSpec, NetworkGenerator, VAEGenerator, load_generator
from monai_genaug.handlers import BundleExport, TrainingCheckpoint
from monai_genaug.latent import ClassWiseLatent
from monai_genaug.networks import LatentAutoencoder, LatentDecoder
from monai_genaug.weights import read_weights
from tests.toy_families import FAMILIES, family_arguments, family_network, pictures, write_family_bundle

SIZE = (12, 10)  # of the raw images; the networks make 8 x 8


def in_memory(count: int, seed: int = 0) -> list[dict[str, Any]]:
    pixels = (255 * pictures(count, SIZE, seed=seed)).round()
    return [{"image": image, "label": i % 2, "subject": f"s{i // 2}"} for i, image in enumerate(pixels)]


def on_disk(folder: Path, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    folder.mkdir()
    written = []
    for i, item in enumerate(items):
        path = folder / f"{i}.png"
        Image.fromarray(item["image"][0].byte().numpy()).save(path)
        written.append({**item, "image": str(path)})
    return written


def exporter(kind: str, folder: Path, items: list[dict[str, Any]], **changes: Any) -> BundleExport:
    """Exports a network with weights other than those of the bundle it was trained with."""
    changed = changes.pop("network", {})
    network = family_network(kind, seed=5, **changed)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    arguments: dict[str, Any] = {"keys": ("image",), "class_key": "label" if network.n_classes else None, **changes}
    return BundleExport(
        TrainingCheckpoint(folder / "checkpoints", network, optimizer),
        network,
        family_arguments(kind, **changed),
        arguments.pop("source", None) or write_family_bundle(folder / "source", kind),
        folder / "bundle",
        items,
        in_memory(6, seed=1) if isinstance(items[0]["image"], torch.Tensor) else items[:6],
        **arguments,
    )


def run(handler: BundleExport, averaged: LatentDecoder | None = None) -> NetworkGenerator:
    engine = Engine(lambda engine, batch: None)
    if averaged is not None:
        engine.averaged = averaged
    handler.attach(engine)
    engine.run([0])
    generator = load_generator(handler.folder)
    assert isinstance(generator, NetworkGenerator)
    return generator


@pytest.mark.parametrize("kind", FAMILIES)
def test_the_bundle_makes_the_samples_of_the_network(kind: str, tmp_path: Path) -> None:
    handler = exporter(kind, tmp_path, in_memory(16))
    untouched = {name: tensor.clone() for name, tensor in handler.network.state_dict().items()}
    generator = run(handler)
    assert all(torch.equal(tensor, untouched[name]) for name, tensor in handler.network.state_dict().items())
    assert isinstance(generator, VAEGenerator) == issubclass(FAMILIES[kind][0], LatentAutoencoder)
    stored = read_weights(tmp_path / "bundle" / "models" / "model.pt")
    for name, tensor in untouched.items():
        if tensor.ndim >= 2 and "latent." not in name:
            assert torch.equal(stored[name], tensor.half()), name
    labels = [0, 1, 1] if handler.network.n_classes else None
    samples = generator.sample([1, 2, 3], labels)["image"]
    assert samples.shape == (3, 1, 8, 8)
    assert (samples[1] - samples[2]).abs().max() > 1e-3
    spec, source = generator.spec, load_generator(tmp_path / "source").spec
    assert spec.classes == source.classes
    provenance = spec.provenance
    assert provenance is not None
    assert len(set(provenance.item_hashes)) == 16
    assert len(provenance.subject_hashes) == 8
    assert spec.replace(provenance=None, sha256="") == source.replace(sha256="")


@pytest.mark.parametrize("kind", ["conditional_vae", "conditional_gan"])
def test_files_and_arrays_give_the_same_bundle(kind: str, tmp_path: Path) -> None:
    found = []
    items = in_memory(12)
    for name in ("arrays", "files"):
        (tmp_path / name).mkdir()
        given = items if name == "arrays" else on_disk(tmp_path / "pictures", items)
        handler = exporter(kind, tmp_path / name, given)
        handler.val_items = given[:4]
        found.append(run(handler).spec)
    assert found[0].sha256 == found[1].sha256
    assert found[0].provenance == found[1].provenance


def test_each_class_is_fitted_to_its_items(tmp_path: Path) -> None:
    changes = {"latent": "gaussian_mixture"}
    source = write_family_bundle(tmp_path / "source", "conditional_vae")
    items = in_memory(40)
    shuffled = [items[i] for i in torch.randperm(40, generator=torch.Generator().manual_seed(0)).tolist()]
    generator = run(exporter("conditional_vae", tmp_path, shuffled, source=source, network=changes, batch_size=7))
    assert isinstance(generator, VAEGenerator)
    latent: Any = generator.network.latent
    assert isinstance(latent, ClassWiseLatent)
    made = [generator.preprocessing("image", load=False)({"image": item["image"]})["image"] for item in items]
    for k in range(2):
        codes = generator.encode({"image": torch.stack(made[k::2])}, k)
        mixture: Any = latent.members[k]
        torch.testing.assert_close(mixture.weights @ mixture.means, codes.mean(dim=0), rtol=0, atol=2e-3)


def statistics(network: LatentDecoder) -> torch.Tensor:
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    return torch.cat([norm.running_mean for norm in norms] + [norm.running_var.sqrt() for norm in norms])  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ["gan", "conditional_gan"])
def test_statistics_of_batch_norms_are_measured_anew(kind: str, tmp_path: Path) -> None:
    handler = exporter(kind, tmp_path, in_memory(16))
    with torch.no_grad():
        for module in handler.network.modules():
            if isinstance(module, _BatchNorm):
                module.running_mean.add_(3.0)  # type: ignore[union-attr]
    exported = run(handler).network
    classes = torch.arange(4000) % 2 if exported.n_classes else None
    expected = family_network(kind, seed=5)
    expected.calibrate([expected.with_class(torch.randn(4000, 4, generator=torch.Generator().manual_seed(0)), classes)])
    torch.testing.assert_close(statistics(exported), statistics(expected), rtol=0.1, atol=0.15)


def test_statistics_are_those_of_the_classes_in_the_training_part(tmp_path: Path) -> None:
    only = [{**item, "label": 1} for item in in_memory(8)]
    exported = run(exporter("conditional_gan", tmp_path, only)).network
    expected = family_network("conditional_gan", seed=5)
    z = torch.randn(4000, 4, generator=torch.Generator().manual_seed(0))
    expected.calibrate([expected.with_class(z, torch.ones(4000).long())])
    torch.testing.assert_close(statistics(exported), statistics(expected), rtol=0.1, atol=0.15)


def test_the_averaged_generator_is_exported(tmp_path: Path) -> None:
    averaged = family_network("gan", seed=9)
    run(exporter("gan", tmp_path, in_memory(4)), averaged)
    stored = read_weights(tmp_path / "bundle" / "models" / "model.pt")
    assert torch.equal(stored["to_image.weight"], averaged.to_image.weight.detach().half())


def test_sizes_in_the_configs_follow_the_network(tmp_path: Path) -> None:
    source = write_family_bundle(tmp_path / "source", "conditional_vae")
    blank = {"network_data_format": {"inputs": {"image": {}}, "outputs": {"pred": {}}}}
    (source / "configs" / "metadata.json").write_text(json.dumps(blank))
    (source / "configs" / "train.json").write_text(json.dumps({"network_args": {}, "epochs": 3}))
    run(exporter("conditional_vae", tmp_path, in_memory(4), source=source, network={"latent_dim": 5}))
    configs = tmp_path / "bundle" / "configs"
    formats = json.loads((configs / "metadata.json").read_text())["network_data_format"]
    assert formats["inputs"]["image"]["num_channels"] == 5 + 2
    assert formats["outputs"]["pred"] == {"num_channels": 1, "spatial_shape": [8, 8]}
    train = json.loads((configs / "train.json").read_text())
    assert train["network_def"] == "$monai_genaug.networks.ConditionalVAE(**@network_args)"
    assert (train["network_args"]["latent_dim"], train["epochs"]) == (5, 3)


def edited(bundle: Path, **changes: Any) -> Path:
    path = bundle / "configs" / "generator.json"
    config = json.loads(path.read_text())
    spec = GeneratorSpec.from_dict(config["spec"]).replace(**changes)
    path.write_text(json.dumps({**config, "spec": spec.to_dict()}))
    return bundle


@pytest.mark.parametrize(
    ("kind", "changes", "template", "words"),
    [
        ("conditional_vae", {}, {"classes": {0: "a", 1: "b", 2: "c"}}, r"numbers of the classes: spec \[0, 1, 2\]"),
        ("gan", {}, {"encodes": ("image",)}, "encodes"),
        ("conditional_gan", {"keys": ("image", "label")}, {}, r"keys \('image', 'label'\) must run parallel"),
        ("conditional_vae", {"network": {"image_channels": 3}}, {}, "image channels: spec 1, network 3"),
    ],
)
def test_what_does_not_fit_is_refused_before_training(
    kind: str, changes: dict[str, Any], template: dict[str, Any], words: str, tmp_path: Path
) -> None:
    source = edited(write_family_bundle(tmp_path / "source", kind), **template)
    handler = exporter(kind, tmp_path, in_memory(4), source=source, **changes)
    engine = Engine(lambda engine, batch: pytest.fail("the training has started"))
    handler.attach(engine)
    with pytest.raises(ValueError, match=words):
        engine.run([0])
    assert not handler.folder.exists()


@pytest.mark.parametrize(("kind", "class_key"), [("conditional_gan", None), ("joint_vae", "label")])
def test_class_key_and_network_must_agree(kind: str, class_key: str | None, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"class_key is {class_key!r}, but the network has [02] classes"):
        exporter(kind, tmp_path, in_memory(4), class_key=class_key)


def test_a_vae_whose_bundle_offers_no_encoder_is_fitted_too(tmp_path: Path) -> None:
    source = edited(write_family_bundle(tmp_path / "source", "joint_vae"), encodes=())
    assert run(exporter("joint_vae", tmp_path, in_memory(6), source=source)).spec.encodes == ()
