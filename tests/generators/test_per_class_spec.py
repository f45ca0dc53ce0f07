# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from monai_genaug.generators.per_class_spec import per_class_spec
from monai_genaug.generators.spec import GeneratorSpec, OutputSpec, Provenance
from tests.toy import toy_spec


def record(**changes: Any) -> Provenance:
    return Provenance(**{"dataset": "toys", "item_hashes": ("1", "2"), "seed": 3, **changes})


def test_classes_and_names() -> None:
    spec = per_class_spec({"benign": toy_spec(name="one"), "malignant": toy_spec(name="two")})
    assert spec.classes == {0: "benign", 1: "malignant"}
    assert spec.name == "one+two"
    assert spec.version == "0.1.0"
    assert per_class_spec({"benign": toy_spec()}, "busi").name == "busi"
    assert spec.outputs == toy_spec().outputs
    assert GeneratorSpec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("spatial_shape", (8, 16, 16)),
        ("spacing", (1.0, 1.0, 2.0)),
        ("orientation", "LAS"),
        ("intensity", "minmax"),
        ("padding", "edge"),
        ("fitting", "resize"),
        ("outputs", {"image": OutputSpec("image", 3, (0.0, 1.0), "float32")}),
    ],
)
def test_what_differs_is_named(field: str, value: Any) -> None:
    other = toy_spec(**{field: value, **({"encodes": ("image",)} if field == "outputs" else {})})
    with pytest.raises(ValueError, match=f"differ in {field}: .*'a': .*'b': "):
        per_class_spec({"a": toy_spec(), "b": other})


def test_fixed_intensity_range_must_agree() -> None:
    members = {
        name: toy_spec(intensity="range", intensity_range=(0.0, high)) for name, high in (("a", 1.0), ("b", 255.0))
    }
    with pytest.raises(ValueError, match="differ in intensity_range"):
        per_class_spec(members)


def test_capabilities_are_those_of_all() -> None:
    both = per_class_spec({"a": toy_spec(), "b": toy_spec()})
    assert both.truncation
    assert both.encodes == ("image", "mask")
    assert both.reproducible_batches
    mixed = per_class_spec({"a": toy_spec(), "b": toy_spec(truncation=False, encodes=("image",))})
    assert not mixed.truncation
    assert mixed.encodes == ()
    assert not per_class_spec({"a": toy_spec(), "b": toy_spec(reproducible_batches=False)}).reproducible_batches


def test_hash_follows_weights_versions_and_classes() -> None:
    def sha256(classes: tuple[str, str] = ("a", "b"), **changes: Any) -> str:
        return per_class_spec(
            dict(zip(classes, (toy_spec(sha256="1"), toy_spec(sha256="2", **changes)), strict=True))
        ).sha256

    assert len(sha256()) == 64
    assert sha256() == sha256()
    assert len({sha256(), sha256(("b", "a")), sha256(version="2"), sha256(name="other")}) == 4
    assert per_class_spec({"a": toy_spec(sha256="1")}).sha256 != per_class_spec({"a": toy_spec(sha256="2")}).sha256


@pytest.mark.parametrize(
    ("licences", "joined"),
    [
        (("", ""), ""),
        (("MIT", "MIT"), "MIT"),
        (("CC-BY-4.0", "MIT"), "CC-BY-4.0 AND MIT"),
        (("CC-BY-4.0", ""), "CC-BY-4.0 AND NOASSERTION"),
        (("MIT OR Apache-2.0", "CC-BY-4.0"), "(MIT OR Apache-2.0) AND CC-BY-4.0"),
        (("MIT OR Apache-2.0", "MIT OR Apache-2.0"), "MIT OR Apache-2.0"),
    ],
)
def test_licences(licences: tuple[str, str], joined: str) -> None:
    members = {
        name: toy_spec(data_licence=licence, weights_licence=licence, provenance=record(data_licence=licence))
        for name, licence in zip("ab", licences, strict=True)
    }
    spec = per_class_spec(members)
    assert spec.provenance is not None
    assert spec.data_licence == spec.weights_licence == spec.provenance.data_licence == joined


def test_provenance_is_united() -> None:
    one = record(metrics={"fid": 1.0}, subject_hashes=("s",), subject_salt="x", split="train")
    two = record(item_hashes=("2", "3"), seed=4, metrics={"fid": 2.0}, subject_hashes=("s", "t"), subject_salt="x")
    spec = per_class_spec({"a": toy_spec(provenance=one), "b": toy_spec(provenance=two), "c": toy_spec()})
    assert spec.provenance == Provenance(
        dataset="toys",
        split="train",
        item_hashes=("1", "2", "3"),
        subject_hashes=("s", "t"),
        subject_salt="x",
        metrics={"a: fid": 1.0, "b: fid": 2.0},
    )
    assert per_class_spec({"a": toy_spec()}).provenance is None


def test_warnings_name_their_class() -> None:
    spec = per_class_spec({"a": toy_spec(warnings=("one", "two")), "b": toy_spec(), "c": toy_spec(warnings=("one",))})
    assert spec.warnings == ("a: one", "a: two", "c: one")


def test_seed_that_all_share() -> None:
    spec = per_class_spec({"a": toy_spec(provenance=record()), "b": toy_spec(provenance=record(dataset="others"))})
    assert spec.provenance is not None
    assert spec.provenance.seed == 3
    assert spec.provenance.dataset == "toys; others"


def test_subjects_with_two_salts_are_refused() -> None:
    members = {
        name: toy_spec(provenance=record(subject_hashes=("s",), subject_salt=salt))
        for name, salt in (("a", "x"), ("b", "y"))
    }
    with pytest.raises(ValueError, match=r"salts \['x', 'y'\]"):
        per_class_spec(members)
