# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Small real generators for tests: untrained VAEs whose weights are drawn from a fixed seed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from monai_genaug.generators import (
    GeneratorSpec,
    LatentGenerator,
    OutputSpec,
    VAEGenerator,
    derive_seed,
    resolve_class_labels,
)
from monai_genaug.networks import VAE
from monai_genaug.weights import save_weights

LABELS = ("background", "head", "tail")
LATENT_DIM = 4
CHANNELS = (4, 8)


def toy_spec(spatial_shape: Sequence[int] = (16, 16, 16), mask: bool = True, **changes: Any) -> GeneratorSpec:
    """What :func:`toy_generator` makes."""
    outputs = {"image": OutputSpec("image", 1, (0.0, 1.0), "float32")}
    if mask:
        outputs["mask"] = OutputSpec("mask", 1, (0, len(LABELS) - 1), "uint8", LABELS)
    spec = GeneratorSpec(
        name="toy",
        version="0.1.0",
        outputs=outputs,
        spatial_shape=tuple(spatial_shape),
        spacing=(1.0,) * len(spatial_shape),
        orientation="RAS" if len(spatial_shape) == 3 else None,
        truncation=True,
        encodes=tuple(outputs),
    )
    return spec.replace(**changes)


def toy_network(spatial_shape: Sequence[int] = (16, 16, 16), mask: bool = True, seed: int = 0) -> VAE:
    """A VAE with random weights, large enough that its samples differ by more than a rounding error."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = VAE(**_arguments(spatial_shape, mask))
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                if parameter.ndim > 1 and not name.startswith("encoder"):
                    parameter.mul_(3.0)
    return network


def toy_generator(
    spatial_shape: Sequence[int] = (16, 16, 16), mask: bool = True, classes: Sequence[str] | None = None
) -> LatentGenerator:
    """A generator of images with one channel in [0, 1] and, if asked for, masks with three labels.

    With ``classes`` (names of the classes 0, 1, ...) each class has a network and a mean brightness of its own.
    """
    if classes is None:
        return VAEGenerator(toy_network(spatial_shape, mask), toy_spec(spatial_shape, mask))
    return ToyConditionalGenerator(spatial_shape, mask, classes)


def write_toy_bundle(folder: Path, spatial_shape: Sequence[int] = (16, 16, 16), mask: bool = True) -> Path:
    """Writes the bundle of the unconditional :func:`toy_generator`; equal samples."""
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    sha256 = save_weights(toy_network(spatial_shape, mask).state_dict(), folder / "models" / "model.pt")
    config = {
        "format": "monai_genaug.generator/1",
        "spec": toy_spec(spatial_shape, mask, name=folder.name, sha256=sha256).to_dict(),
        "network": {"_target_": "monai_genaug.networks.VAE", **_arguments(spatial_shape, mask)},
        "weights": "models/model.pt",
    }
    (folder / "configs" / "generator.json").write_text(json.dumps(config, indent=2))
    return folder


class ToyConditionalGenerator(LatentGenerator):
    """One VAE per class; class k lies in its own band of intensities, so that means tell classes apart."""

    def __init__(self, spatial_shape: Sequence[int], mask: bool, classes: Sequence[str]) -> None:
        self._members = [
            VAEGenerator(toy_network(spatial_shape, mask, seed=k), toy_spec(spatial_shape, mask))
            for k in range(len(classes))
        ]
        digest = "".join(member.spec.sha256 for member in self._members)
        super().__init__(
            toy_spec(spatial_shape, mask, classes=dict(enumerate(classes)), sha256=f"{derive_seed(digest):064x}")
        )

    @property
    def latent_spread(self) -> Tensor:
        return self._members[0].latent_spread

    def encode(self, batch: Mapping[str, Tensor], class_label: Any = None, seeds: Any = None) -> Tensor:
        codes = []
        for i, k in enumerate(self._ids(class_label, len(batch["image"]))):
            item = {name: batch[name][i : i + 1] for name in self._spec.encodes}
            low, high = self._band(k)
            item["image"] = ((item["image"] - low) / (high - low)).clamp(0, 1)
            codes.append(self._members[k].encode(item, seeds=None if seeds is None else [seeds[i]]))
        return torch.cat(codes)

    def decode(self, z: Tensor, class_label: Any = None) -> dict[str, Tensor]:
        ids = self._ids(class_label, len(z))
        items = [self._members[k].decode(z[i : i + 1]) for i, k in enumerate(ids)]
        return self._joined(items, ids)

    def sample_latent(self, seeds: Sequence[int], class_label: Any = None, truncation: float = 1) -> Tensor:
        ids = self._ids(class_label, len(seeds))
        codes = [self._members[k].sample_latent([s], None, truncation) for s, k in zip(seeds, ids, strict=True)]
        return torch.cat(codes)

    def _generate(self, seeds: list[int], classes: list[int] | None, truncation: float) -> dict[str, Tensor]:
        assert classes is not None
        items = [self._members[k].sample([s], None, truncation) for s, k in zip(seeds, classes, strict=True)]
        return self._joined(items, classes)

    def _joined(self, items: list[dict[str, Tensor]], ids: list[int]) -> dict[str, Tensor]:
        for item, k in zip(items, ids, strict=True):
            low, high = self._band(k)
            item["image"] = low + (high - low) * item["image"]
        return {name: torch.cat([item[name] for item in items]) for name in self._spec.outputs}

    def _band(self, k: int) -> tuple[float, float]:
        return k / len(self._members), (k + 1) / len(self._members)

    def _ids(self, class_label: Any, count: int) -> list[int]:
        ids = resolve_class_labels(class_label, count, self._spec)
        assert ids is not None
        return ids

    def __deepcopy__(self, memo: dict[int, Any]) -> ToyConditionalGenerator:
        return self


def _arguments(spatial_shape: Sequence[int], mask: bool) -> dict[str, Any]:
    return {
        "spatial_dims": len(spatial_shape),
        "spatial_shape": list(spatial_shape),
        "image_channels": 1,
        "mask_classes": len(LABELS) if mask else 0,
        "latent_dim": LATENT_DIM,
        "channels": list(CHANNELS),
    }
