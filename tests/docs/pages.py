# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Which pages there are, what their readers are supposed to have, and what their examples must end with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from monai.transforms import Compose

import monai_genaug as mg
from monai_genaug.generators import MonaiBundleGenerator, Provenance, subject_hash
from monai_genaug.quality import held_out_hashes
from tests.class_pictures import CLASSES, write_class_pictures
from tests.cli_data import noise, picture_bundle, write_grey, write_list
from tests.docs.code_blocks import ROOT
from tests.engines.toy_gan_run import build, pictures
from tests.tiny_training import write_volumes

Names = dict[str, Any]


def _nothing(folder: Path) -> Names:
    return {}


def _unchecked(names: Names) -> None:
    return None


@dataclass(frozen=True)
class Inputs:
    """What a page needs beyond an empty folder.

    Args:
        prepare: writes files into the folder, and returns the names that the first example takes for granted.
        check: the names that the examples leave behind.
        options: command -> options that make it smaller.
        exit_codes: beginning of a command -> exit code, where it is not 0.
    """

    prepare: Callable[[Path], Names] = _nothing
    check: Callable[[Names], None] = _unchecked
    options: Mapping[str, Sequence[str]] = field(default_factory=dict)
    exit_codes: Mapping[str, int] = field(default_factory=dict)


def all_pages() -> dict[str, Path]:
    """Name -> file of every page, those of the model cards included."""
    found = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "monai_genaug" / "bundles").glob("*/docs/README.md")]
    found += [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    names = {path.relative_to(ROOT).as_posix(): path for path in found}
    return {name: names[name] for name in sorted(names) if not name.startswith("docs/_build/")}


def _one_pair(folder: Path) -> dict[str, str]:
    data = write_volumes(folder / "data", 1)
    return {key: str(data / part / "hippocampus_001.nii.gz") for key, part in _PARTS.items()}


_PARTS = {"image": "imagesTr", "label": "labelsTr"}


def _readme(folder: Path) -> Names:
    return {"test_items": [_one_pair(folder)]}


def _check_readme(names: Names) -> None:
    assert isinstance(names["chain"], Compose)
    flags, chain = set(), names["chain"].set_random_state(0)
    for _ in range(8):
        made = chain(names["test_items"][0])
        flags.add(made["is_synthetic"])
        assert made["image"].shape == made["label"].shape == (1, *names["generator"].spec.spatial_shape)
        assert set(torch.unique(made["label"]).tolist()) <= {0, 1, 2}
    assert flags == {False, True}


def _get_started(folder: Path) -> Names:
    item = _one_pair(folder)
    return {"training_items": [item] * 12, "test_items": [item]}


def _check_get_started(names: Names) -> None:
    assert names["pairs"]["image"].shape == names["pairs"]["mask"].shape == (4, 1, 48, 64, 48)
    assert names["images"].shape == (2, 1, 28, 28)
    assert 0 < names["share"] < 1
    assert names["item"]["is_synthetic"] is True


def _check_pools(names: Names) -> None:
    pool, generator = names["pool"], names["generator"]
    assert (len(pool), pool.record.dtype, names["class_id"]) == (100, "uint8", 1)
    assert (names["image"].shape, names["image"].dtype) == ((1, 28, 28), torch.float32)
    (made,) = generator.sample([pool.record.item_seed(99)], "normal or benign")["image"]
    torch.testing.assert_close(names["image"], made, rtol=0, atol=1 / 510 + 1e-4)
    assert mg.SamplePool("shared_pool").record.identity == pool.record.identity
    assert (names["trainer"].state.epoch, names["data"].pool.generation) == (2, 1)
    assert names["again"].record.identity == pool.record.identity
    assert [entry["label"] for entry in names["items"]] == [0] * 60 + [1] * 40
    assert generator.look_ahead == 16
    assert names["chain"]({"image": torch.zeros(1, 28, 28), "label": 0})["image"].shape == (1, 28, 28)


def _train_your_own(folder: Path) -> Names:
    write_class_pictures(folder / "my_images")
    return {}


def _check_train_your_own(names: Names) -> None:
    assert names["images"].shape == (4, 1, 8, 8)
    assert names["batch"]["image"].shape == (4, 1, 8, 8)
    assert set(names["batch"]["class_name"]) <= set(CLASSES)
    chain = names["chain"].set_random_state(0)
    assert {chain(item)["is_synthetic"] for item in names["items"]} == {False, True}


def _check_filters(names: Names) -> None:
    criteria, images = names["criteria"], names["images"]
    assert images.shape == (8, 1, 28, 28)
    assert 0 < names["share"] <= 1
    assert all(bool(one.accept({"image": images}, [0] * 8).all()) for one in criteria)
    made = torch.stack([names["pool"][i]["image"] for i in range(40)])
    accepted = [one.accept({"image": made}, [0] * 20 + [1] * 20) for one in criteria]
    assert names["kept"].tolist() == (accepted[0] & accepted[1]).nonzero().flatten().tolist()
    assert (len(names["dense"]), len(names["odd"])) == (30, 5)
    assert set(names["suspects"]) <= set(range(60))


def _my_bundle(folder: Path) -> list[str]:
    """A bundle that was trained on ten other pictures, and pictures in ``data``; their names."""
    known = [{"image": str(path)} for path in write_grey(folder / "known", noise(10, 0))]
    hashes = held_out_hashes(mg.load_generator(picture_bundle(folder / "untrained")), known)
    subjects = tuple(subject_hash(f"p{number}", "salt") for number in range(10))
    provenance = Provenance(dataset="x", item_hashes=hashes.items, subject_hashes=subjects, subject_salt="salt")
    picture_bundle(folder / "my_bundle", provenance=vars(provenance))
    for part, seed in (("train", 5), ("test", 6)):
        names = [path.name for path in write_grey(folder / "data" / part, noise(12, seed))]
    return names


def _leakage(folder: Path) -> Names:
    files = _my_bundle(folder)
    for part in ("val", "test"):
        items = [{"image": f"test/{name}", "patient": f"{part} {name}"} for name in files]
        write_list(folder / "data" / f"{part}.json", items)
    train, val, test = (list(noise(6, seed)) for seed in (10, 11, 12))
    train.append(test[3].flip(2))
    items = [{"image": 255 * image, "subject": f"new {i}"} for i, image in enumerate(noise(3, 13))]
    return {"test_items": items, "train": train, "val": val, "test": test}


def _check_leakage(names: Names) -> None:
    (pair,) = names["report"].between("train", "test")
    assert {pair.first, pair.second} == {("train", 6), ("test", 3)}
    assert pair.distance < 0.01


def _privacy(folder: Path) -> Names:
    _my_bundle(folder)
    generator, labels = mg.load_generator("chest_xray_cgan"), [0, 1] * 12
    train, held_out = (generator.sample(range(first, first + 24), labels)["image"] for first in (10**6, 2 * 10**6))
    classes = torch.tensor(labels)
    return {"train_images": train, "train_labels": classes, "held_out_images": held_out, "held_out_labels": classes}


def _check_privacy(names: Names) -> None:
    assert names["report"].n_samples == 500
    assert names["report"].ok  # nothing was trained on what stands for training images here
    assert Path("closest.png").is_file()
    assert Path("audit/audit.md").is_file()
    assert 0 < names["filtered"].acceptance_rate <= 1


def _metrics(folder: Path) -> Names:
    run = build(folder / "earlier", max_epochs=5)
    images = torch.stack([item["image"] for item in pictures(8, seed=2)])
    optimizer = torch.optim.Adam(run.generator.parameters())
    return {"trainer": run.trainer, "network": run.generator, "optimizer": optimizer, "real_images": images}


def _check_metrics(names: Names) -> None:
    assert set(names["values"]) == {"frechet_distance", "precision", "recall"}
    names["trainer"].run()
    assert names["chooser"].best.epoch == 5
    assert "frechet_distance" in Path("run/log.csv").read_text()


def _check_pairs(names: Names) -> None:
    assert names["nearby"]["image"].shape == (1, 1, 48, 64, 48)
    assert not torch.equal(names["edited"]["image"], names["image"])


def _check_matching(names: Names) -> None:
    assert abs(float(names["made"].mean())) < 1e-4
    assert names["pairs"].prob == 0.1


def _check_third_party(names: Names) -> None:
    assert names["images"].shape == (4, 1, 16, 16)
    assert isinstance(names["generator"], MonaiBundleGenerator)
    assert names["generator"].spec.anatomy == "knee"
    assert "import glob" in str(names["said"])
    assert names["both"]["mask"].unique().tolist() == [0, 1]


PAGES = {
    "README.md": Inputs(_readme, _check_readme),
    "docs/concepts/metrics.md": Inputs(_metrics, _check_metrics),
    "docs/concepts/pairs.md": Inputs(check=_check_pairs),
    "docs/get_started.md": Inputs(_get_started, _check_get_started),
    "docs/how_to/filters.md": Inputs(check=_check_filters),
    "docs/how_to/leakage.md": Inputs(_leakage, _check_leakage),
    "docs/how_to/matching_items.md": Inputs(check=_check_matching),
    "docs/how_to/pools.md": Inputs(check=_check_pools),
    "docs/how_to/privacy.md": Inputs(_privacy, _check_privacy),
    "docs/how_to/third_party_bundles.md": Inputs(check=_check_third_party),
    "docs/how_to/train_your_own.md": Inputs(
        _train_your_own, _check_train_your_own, options={"train": ("--size", "8", "--epochs", "1")}
    ),
}
"""Pages that need more than an empty folder, or are checked further; all others just have to run."""
