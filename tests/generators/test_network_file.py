# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from monai_genaug.generators import export_network, load_generator
from monai_genaug.weights import MissingWeightsError, WeightsHashError, save_weights
from tests.toy_decoders import module_generator


@pytest.fixture(params=["model.ts", "model.pt2"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return export_network(module_generator((8, 8)), tmp_path / request.param)


def edit(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    sidecar = file.with_name(f"{file.name}.json")
    content = json.loads(sidecar.read_text())
    change(content)
    sidecar.write_text(json.dumps(content))


def test_nothing_is_read_without_trust(file: Path) -> None:
    with pytest.raises(ValueError, match="is a program, and reading it may run code that is in it: give trust=True"):
        load_generator(file)


def test_the_program_is_read_at_the_first_use(file: Path) -> None:
    generator = load_generator(file, trust=True)
    file.rename(file.with_name("moved.ts"))
    with pytest.raises(MissingWeightsError, match=r"model\.\w+: no such file"):
        generator.sample([1], "a")
    file.with_name("moved.ts").rename(file)
    assert generator.sample([1], "a")["image"].shape == (1, 1, 8, 8)


def test_another_program_is_refused_before_it_is_run(file: Path) -> None:
    generator = load_generator(file, trust=True)
    file.write_bytes(file.read_bytes() + b"\n")
    with pytest.raises(WeightsHashError, match=r"sha256 is [0-9a-f]{64}, expected [0-9a-f]{64}"):
        generator.sample([1], "a")


def test_a_pickled_generator_refuses_another_description(file: Path) -> None:
    data = pickle.dumps(load_generator(file, trust=True))
    edit(file, lambda content: content.update(decoder_range=[0, 2]))
    with pytest.raises(ValueError, match="has changed"):
        pickle.loads(data)


def test_a_file_without_description_says_how_to_make_one(tmp_path: Path) -> None:
    save_weights(nn.Linear(2, 2).state_dict(), tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"has no model.pt.json beside it, .* export_network"):
        load_generator(tmp_path / "model.pt", trust=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content.pop("inputs"), "fields are"),
        (lambda content: content.update(format="other/2"), "format is 'other/2'"),
        (lambda content: content.update(decoder_range=[1, 0]), "decoder_range is"),
        (lambda content: content["spec"].update(color="red"), "unknown fields"),
        (lambda content: content["spec"].update(classes=None), "condition is 'index' and the classes"),
        (lambda content: content["inputs"].update(shape=[5]), r"shape of a code is \(5,\)"),
        (lambda content: content["inputs"]["latent"].update(kind="os.system"), "kind of the latent .* 'os.system'"),
        (lambda content: content["inputs"]["latent"].update(command="x"), "unexpected keyword"),
        (lambda content: content["inputs"]["latent"].pop("state"), "'state'"),
        (lambda content: content["inputs"]["latent"]["state"].clear(), "Missing key"),
        (lambda content: content["inputs"]["latent"]["state"]["spread"].update(dtype="O"), "dtype is 'O'"),
        (lambda content: content["inputs"]["latent"]["state"]["spread"].update(base64="?"), "rror"),
    ],
)
def test_damaged_descriptions_are_named(change: Any, words: str, tmp_path: Path) -> None:
    file = export_network(module_generator((8, 8)), tmp_path / "model.ts")
    edit(file, change)
    with pytest.raises(ValueError, match=rf"(?s)model\.ts\.json: .*{words}"):
        load_generator(file, trust=True)


class _Marker:
    """Runs code where it is unpickled."""

    ran = False

    def __reduce__(self) -> tuple[Any, ...]:
        return setattr, (_Marker, "ran", True)


def test_torch_export_unpickles_what_a_file_holds(tmp_path: Path) -> None:
    """Why trust is needed: a changed weight of a program is code that runs."""
    file = export_network(module_generator((8, 8)), tmp_path / "model.pt2")
    hostile, buffer = io.BytesIO(), io.BytesIO()
    torch.save(_Marker(), buffer)
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(hostile, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith("sample_inputs/model.pt"):
                data = buffer.getvalue()
            target.writestr(name, data)
    hostile.seek(0)
    with suppress(Exception):  # whatever torch makes of what it finds in place of the inputs
        torch.export.load(hostile)
    assert _Marker.ran
