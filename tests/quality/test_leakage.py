# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from monai_genaug.data import decathlon_items, medmnist_items
from monai_genaug.data.decathlon import select_split
from monai_genaug.generators import (
    Provenance,
    VAEGenerator,
    build_pool,
    bundle_folder,
    content_hash,
    load_generator,
    subject_hash,
)
from monai_genaug.quality.leakage import (
    LeakageError,
    LeakageWarning,
    check_leakage,
    held_out_hashes,
    shared_subjects,
)
from tests.toy import toy_network, toy_spec

SHAPE = (16, 16)


def arrays(count: int, first: int = 0) -> list[dict[str, Any]]:
    """Raw items: channel-first arrays and subjects."""
    return [
        {"scan": np.random.default_rng(number).random((1, 20, 18), dtype=np.float32) * 400, "who": f"s{number}"}
        for number in range(first, first + count)
    ]


def generator(provenance: Provenance | None, shape: tuple[int, ...] = SHAPE, **changes: Any) -> VAEGenerator:
    return VAEGenerator(toy_network(shape, mask=False), toy_spec(shape, mask=False, provenance=provenance, **changes))


def trained_on(items: list[dict[str, Any]], salt: str = "pepper") -> VAEGenerator:
    """A generator whose provenance names the items, hashed as they come out of its own preprocessing."""
    preprocess = generator(None).preprocessing("scan", load=False)
    hashes = tuple(content_hash(preprocess({"scan": item["scan"]})["scan"]) for item in items)
    subjects = tuple(subject_hash(item["who"], salt) for item in items)
    return generator(Provenance("toy", item_hashes=hashes, subject_hashes=subjects, subject_salt=salt))


def test_training_items_are_found_by_content() -> None:
    train, test = arrays(5), arrays(4, first=10)
    trained = trained_on(train)
    with pytest.warns(LeakageWarning, match=r"2 of 6 items are training items \(indices 1, 4\)"):
        report = check_leakage(trained, [test[0], train[3], test[1], test[2], train[0], test[3]], "scan")
    assert (report.items, report.subjects, report.status) == ((1, 4), None, "overlap")
    with pytest.raises(LeakageError, match="1 of 1 items are training items"):
        check_leakage(trained, [{"scan": torch.from_numpy(train[2]["scan"]).double()}], "scan", on_overlap="raise")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check_leakage(trained, test, "scan", "who", on_overlap="raise").status == "no overlap"
        assert check_leakage(trained, train, "scan", on_overlap="ignore").items == (0, 1, 2, 3, 4)


def test_other_images_of_training_subjects_are_found_by_subject() -> None:
    trained = trained_on(arrays(3))
    others = [{**item, "who": who} for item, who in zip(arrays(3, first=20), ("s1", "new", "s2"), strict=True)]
    report = check_leakage(trained, others, "scan", "who", on_overlap="ignore")
    assert (report.items, report.subjects, report.status) == ((), (0, 2), "overlap")
    assert "2 of 3 items are of training subjects (indices 0, 2)" in str(report)
    assert report.to_dict() == {
        "status": "overlap",
        "generator": "toy",
        "n_items": 3,
        "items": [],
        "subjects": [0, 2],
        "subjects_asked": True,
    }


@pytest.mark.parametrize("provenance", [None, Provenance("secret")])
def test_no_hashes_is_unknown_and_not_no_overlap(provenance: Provenance | None) -> None:
    with pytest.warns(LeakageWarning, match="unknown how many of 2 items are training items"):
        report = check_leakage(generator(provenance), arrays(2), "scan", on_overlap="raise")
    assert (report.items, report.status) == (None, "unknown")


def test_subjects_that_cannot_be_compared_leave_it_unknown() -> None:
    known = trained_on(arrays(2)).spec.provenance
    assert known is not None
    without = generator(Provenance("toy", item_hashes=known.item_hashes))
    assert check_leakage(without, arrays(2, 9), "scan", on_overlap="ignore").status == "no overlap"
    assert check_leakage(without, arrays(2, 9), "scan", "who", on_overlap="ignore").status == "unknown"
    only_subjects = generator(Provenance("toy", subject_hashes=known.subject_hashes, subject_salt="pepper"))
    assert check_leakage(only_subjects, arrays(2, 9), "scan", "who", on_overlap="ignore").status == "unknown"
    assert check_leakage(only_subjects, arrays(2), "scan", "who", on_overlap="ignore").subjects == (0, 1)


def test_items_already_in_the_generators_space() -> None:
    train = arrays(3)
    trained = trained_on(train)
    preprocess = trained.preprocessing("scan", load=False)
    made = [preprocess({"scan": item["scan"]}) for item in train]
    assert check_leakage(trained, made, "scan", on_overlap="ignore", preprocessed=True).items == (0, 1, 2)
    with pytest.raises(ValueError, match=r"item 0 is torch.float32 of shape \(1, 20, 18\)"):
        check_leakage(trained, train, "scan", preprocessed=True)
    with pytest.raises(ValueError, match=r"item 0 is torch.float32 .* in \[0, 1\]"):
        check_leakage(trained, [{"scan": made[0]["scan"] * 9}], "scan", preprocessed=True)


def test_hashes_are_made_once_for_generators_of_one_space() -> None:
    train = arrays(3)
    hashes = held_out_hashes(generator(None), train, "scan", "who")
    assert check_leakage(trained_on(train), hashes, on_overlap="ignore").items == (0, 1, 2)
    assert check_leakage(trained_on(train, salt="other"), hashes, on_overlap="ignore").subjects == (0, 1, 2)
    with pytest.raises(ValueError, match="another preprocessing"):
        check_leakage(generator(None, intensity="minmax"), hashes)


def test_files_under_other_names(tmp_path: Path, anatomical_path: Path) -> None:
    shape = (16, 16, 16)
    preprocess = generator(None, shape).preprocessing("image")
    digest = content_hash(preprocess({"image": str(anatomical_path)})["image"])
    trained = generator(Provenance("toy", item_hashes=(digest,)), shape)
    copy = shutil.copy(anatomical_path, tmp_path / "renamed.nii")
    items = [{"image": copy}, {"image": Path(copy)}]
    assert check_leakage(trained, items, on_overlap="ignore").items == (0, 1)


def test_a_pool_has_the_provenance_of_its_generator(tmp_path: Path) -> None:
    train = arrays(2)
    pool = build_pool(trained_on(train), 2, tmp_path / "pool", progress=False)
    assert check_leakage(pool, train, "scan", on_overlap="ignore").items == (0, 1)


def test_refusals() -> None:
    trained = trained_on(arrays(2))
    with pytest.raises(ValueError, match="on_overlap is 'stop', allowed"):
        check_leakage(trained, arrays(1), on_overlap="stop")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"item 0 has no key 'image', but \['scan', 'who'\]"):
        check_leakage(trained, arrays(1))
    with pytest.raises(ValueError, match="item 1 names no subject under 'who'"):
        check_leakage(trained, [arrays(1)[0], {"scan": 0}], "scan", "who")
    with pytest.raises(ValueError, match=r"keys are \('a', 'b'\)"):
        check_leakage(trained, arrays(1), ("a", "b"))
    broken = {"scan": np.full((1, 20, 18), np.nan, dtype=np.float32), "who": "s"}
    with pytest.raises(ValueError, match="item 1: the volume under key 'scan' holds NaN"):
        check_leakage(trained, [arrays(1)[0], broken], "scan")


def test_shared_subjects() -> None:
    splits = {"train": ["b", "a", "b", "c"], "val": ["d", "c", "b"], "test": ["e"]}
    assert shared_subjects(splits) == {("train", "val"): ("b", "c")}


SHIPPED = [
    ("chest_xray_cgan", "pneumoniamnist", {"val": 8, "test": 0}),  # 8 images are in two official parts
    ("breast_us_cgan", "breastmnist", {"val": 0, "test": 1}),
    ("adrenal_ct_rhvae", "adrenalmnist3d", {"val": 0, "test": 0}),
]


@pytest.mark.parametrize(("bundle", "dataset", "counts"), SHIPPED)
def test_shipped_bundles_know_the_official_training_part(
    genaug_data: Path, bundle: str, dataset: str, counts: dict[str, int]
) -> None:
    folder = genaug_data / "medmnist"
    if not (folder / f"{dataset}.npz").is_file():
        pytest.skip(f"{folder} has no {dataset}.npz")
    shipped = load_generator(bundle)
    train = medmnist_items(dataset, folder, "train")[::40]
    report = check_leakage(shipped, train, subject_key="subject", on_overlap="ignore")
    assert report.items == report.subjects == tuple(range(len(train)))
    for part, count in counts.items():
        items = medmnist_items(dataset, folder, part)
        report = check_leakage(shipped, items, subject_key="subject", on_overlap="ignore")
        assert report.items is not None
        assert len(report.items) == count
        assert report.subjects == ()


def test_volumes_of_the_hippocampus_bundle(hippocampus_dir: Path) -> None:
    shipped, items = load_generator("hippocampus_mri_rhvae"), decathlon_items(hippocampus_dir)
    split = bundle_folder("hippocampus_mri_rhvae") / "configs" / "split.json"
    train, test = select_split(items, split, "train")[:3], select_split(items, split, "test")[:3]
    report = check_leakage(shipped, [*train, *test], ("image", "label"), "subject", on_overlap="ignore")
    assert report.items == report.subjects == (0, 1, 2)
