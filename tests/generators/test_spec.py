# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monai_genaug.generators import GeneratorSpec, OutputSpec, Provenance
from tests.toy import toy_spec

_words = st.text(max_size=12)
_number = st.floats(-1e6, 1e6)
_ranges = st.tuples(_number, _number).filter(lambda pair: pair[0] < pair[1])
_images = st.builds(OutputSpec, st.just("image"), st.integers(1, 4), _ranges, st.just("float32"))
_masks = st.builds(
    OutputSpec,
    st.just("mask"),
    st.just(1),
    st.just((0, 2)),
    st.sampled_from(["uint8", "int16", "int32", "int64"]),
    st.tuples(_words, _words, _words),
)
_provenances = st.builds(
    Provenance,
    dataset=_words,
    dataset_version=_words,
    item_hashes=st.lists(_words, max_size=3).map(tuple),
    subject_hashes=st.lists(_words, max_size=3).map(tuple),
    subject_salt=_words,
    seed=st.none() | st.integers(0, 2**63 - 1),
    metrics=st.dictionaries(_words, _number, max_size=3),
)


@st.composite
def _specs(draw: st.DrawFn) -> GeneratorSpec:
    intensity = draw(st.sampled_from(["percentiles", "minmax", "range"]))
    shape = draw(st.lists(st.integers(1, 512), min_size=2, max_size=3))
    outputs = {"image": draw(_images)}
    if draw(st.booleans()):
        outputs["mask"] = draw(_masks)
    return GeneratorSpec(
        name=draw(_words),
        outputs=outputs,
        spatial_shape=tuple(shape),
        version=draw(_words),
        sha256=draw(_words),
        spacing=draw(st.none() | st.just((0.5,) * len(shape))),
        orientation=draw(st.none() | st.just("LIP"[: len(shape)])),
        modality=draw(_words),
        classes=draw(st.none() | st.dictionaries(st.integers(-5, 99), _words, max_size=4)),
        intensity=intensity,
        fitting=draw(st.sampled_from(["pad_or_crop", "resize"])),
        intensity_range=draw(_ranges) if intensity == "range" else None,
        truncation=draw(st.booleans()),
        encodes=draw(st.sampled_from([(), ("image",), tuple(outputs)])),
        reproducible_batches=draw(st.booleans()),
        warnings=draw(st.lists(_words, max_size=3).map(tuple)),
        provenance=draw(st.none() | _provenances),
    )


@given(_specs())
def test_json_round_trip(spec: GeneratorSpec) -> None:
    again = GeneratorSpec.from_json(spec.to_json())
    assert again == spec
    assert again.to_json() == spec.to_json()
    assert list(again.outputs) == list(spec.outputs)


@given(_specs())
def test_dict_holds_plain_values_only(spec: GeneratorSpec) -> None:
    assert json.loads(json.dumps(spec.to_dict())) == spec.to_dict()


def test_spec_is_frozen_and_independent_of_its_arguments() -> None:
    outputs = dict(toy_spec().outputs)
    spec = toy_spec(outputs=outputs)
    outputs.clear()
    assert list(spec.outputs) == ["image", "mask"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.name = "other"  # type: ignore[misc]
    assert spec.replace(name="other").name == "other"
    assert spec.name == "toy"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"outputs": {}}, "outputs is empty"),
        ({"spatial_shape": (4, 0)}, r"spatial_shape is \(4, 0\)"),
        ({"spatial_shape": ()}, "spatial_shape"),
        ({"spacing": (1.0, 1.0)}, "spacing"),
        ({"spacing": (1.0, 0.0, 1.0)}, r"spacing is \(1.0, 0.0, 1.0\), allowed: positive"),
        ({"orientation": "RA"}, r"orientation is 'RA', allowed for .*: 3 letters"),
        ({"orientation": "RAX"}, "'RAX'"),
        ({"orientation": "RLS"}, "'RLS'"),
        ({"intensity": "zscore"}, "'zscore', allowed: 'percentiles', 'minmax', 'range'"),
        ({"intensity": "range"}, "intensity_range"),
        ({"intensity_range": (0, 1)}, "intensity_range"),
        ({"fitting": "stretch"}, "'stretch', allowed: 'pad_or_crop', 'resize'"),
        ({"warnings": "one sentence"}, "warnings is 'one sentence', allowed: a tuple of texts"),
        ({"encodes": "image"}, "encodes is 'image', allowed: a tuple of texts"),
    ],
)
def test_values_that_are_not_allowed_are_named(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        toy_spec(**changes)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("label", 1, (0, 1), "uint8"), "'label', allowed: 'image', 'mask'"),
        (("image", 0, (0, 1), "float32"), "channels is 0"),
        (("image", 1, (1, 1), "float32"), "value_range"),
        (("image", 1, (0, float("nan")), "float32"), "value_range"),
        (("image", 1, (0, 1), "uint8"), r"allowed for kind 'image': \('float32',\)"),
        (("mask", 1, (0, 1), "float32"), "allowed for kind 'mask'"),
    ],
)
def test_outputs_that_are_not_allowed_are_named(arguments: tuple[Any, ...], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        OutputSpec(*arguments)


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        (("colour",), "red", r"unknown fields \['colour'\]"),
        (("outputs", "image", "colour"), "red", r"OutputSpec: unknown fields \['colour'\]"),
        (("provenance",), {"dataset": "x", "colour": "red"}, r"Provenance: unknown fields \['colour'\]"),
        (("provenance",), {}, r"Provenance: .*missing fields \['dataset'\]"),
    ],
)
def test_unknown_and_missing_fields_are_named(path: tuple[str, ...], value: Any, text: str) -> None:
    plain = toy_spec().to_dict()
    inner = plain
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(ValueError, match=text):
        GeneratorSpec.from_dict(plain)


@pytest.mark.parametrize("name", ["name", "outputs", "spatial_shape"])
def test_missing_fields_are_named(name: str) -> None:
    plain = toy_spec().to_dict()
    del plain[name]
    with pytest.raises(ValueError, match=rf"missing fields \['{name}'\]"):
        GeneratorSpec.from_dict(plain)


@pytest.mark.parametrize("levels", [0, 1])
def test_an_image_has_two_levels_or_more(levels: int) -> None:
    with pytest.raises(ValueError, match=f"levels is {levels}, allowed: 2 and more"):
        OutputSpec("image", 1, (0.0, 1.0), "float32", levels=levels)


def test_a_mask_has_labels_and_no_levels() -> None:
    with pytest.raises(ValueError, match="None for a mask"):
        OutputSpec("mask", 1, (0, 2), "uint8", ("a", "b", "c"), levels=3)
