# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from monai_genaug.generators import NetworkGenerator, OutputSpec, build_pool
from monai_genaug.generators.pool_storage import check_storage_type, decode, encode, stored_dtype
from tests.toy import toy_spec
from tests.toy_families import family_network, family_spec

RANGES = [(0.0, 1.0), (-1.0, 1.0), (-1024.0, 3071.0), (0.1, 0.7), (-1 / 3, 1e-3)]


def image(value_range: tuple[float, float], levels: int | None = None) -> OutputSpec:
    return OutputSpec("image", 1, value_range, "float32", levels=levels)


def values(output: OutputSpec, count: int = 100_000) -> torch.Tensor:
    """Both ends of the range, and numbers between."""
    low, high = output.value_range
    drawn = torch.rand(count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    drawn[0], drawn[1] = 0, 1
    return (low + (high - low) * drawn).float().clamp(low, high)


@pytest.mark.parametrize("value_range", RANGES)
def test_256_levels_are_half_a_step_away_at_most(value_range: tuple[float, float]) -> None:
    output = image(value_range)
    before = values(output)
    stored = encode(before, output, "uint8")
    after = decode(stored, output)
    low, high = value_range
    assert stored.dtype == np.uint8
    assert (stored[0], stored[1]) == (0, 255)
    assert after.dtype == torch.float32
    ends = torch.tensor([low, high])
    torch.testing.assert_close(after[:2], ends, rtol=0, atol=1e-7 * (high - low))
    assert ends[0] <= after.min()
    assert after.max() <= ends[1]
    error = (after.double() - before.double()).abs().max()
    assert 0.99 * (high - low) / 510 < error <= (high - low) / 510 + 1e-6 * (high - low)
    exact = np.rint((before.double().numpy() - low) / (high - low) * 255)  # the formula in float64
    assert np.abs(exact - stored).max() <= 1
    assert (exact != stored).mean() < 1e-3
    assert np.array_equal(encode(after, output, "uint8"), stored)


@pytest.mark.parametrize("value_range", RANGES)
def test_halves_are_numpys_and_stay_in_the_range(value_range: tuple[float, float]) -> None:
    output = image(value_range)
    before = values(output)
    stored = encode(before, output, "float16")
    assert np.array_equal(stored, before.numpy().astype(np.float16))
    after = decode(stored, output)
    assert after.dtype == torch.float32
    assert torch.equal(after, torch.from_numpy(stored).float().clamp(*value_range))
    assert float(after.min()) >= float(np.float32(value_range[0]))
    assert float(after.max()) <= float(np.float32(value_range[1]))
    assert ((after - before).abs() <= before.abs() * 2**-11 + 2**-25).all()


@pytest.mark.parametrize("value_range", RANGES)
@pytest.mark.parametrize("levels", [2, 4, 6, 16, 18, 52, 86, 256])
def test_levels_that_divide_255_are_stored_without_loss(levels: int, value_range: tuple[float, float]) -> None:
    output = image(value_range, levels)
    low, high = value_range
    fractions = (torch.linspace(0, 1, 4096) * (levels - 1)).round() / (levels - 1)
    made = (low + (high - low) * fractions).clamp(low, high)  # as NetworkGenerator does
    assert len(made.unique()) == levels
    assert torch.equal(decode(encode(made, output, "uint8"), output), made)


@pytest.mark.parametrize("levels", [2, 16])
def test_shapes_of_a_network_are_the_same_in_a_pool_of_bytes(levels: int, tmp_path: Path) -> None:
    network = family_network("gan")
    output = OutputSpec("image", 1, (-0.3, 0.7), "float32", levels=levels)
    generator = NetworkGenerator(network, family_spec(network, outputs={"image": output}))
    pools = {
        dtype: build_pool(generator, 5, tmp_path / dtype, dtype=dtype, progress=False) for dtype in ("float32", "uint8")
    }
    images = {dtype: torch.stack([pool[i]["image"] for i in range(5)]) for dtype, pool in pools.items()}
    assert 2 <= len(images["uint8"].unique()) <= levels
    assert torch.equal(images["uint8"], images["float32"])


def test_what_needs_no_conversion_shares_its_memory() -> None:
    spec = toy_spec()
    for name, dtype in (("image", "float32"), ("mask", "uint8"), ("mask", "float16")):
        output = spec.outputs[name]
        made = torch.ones(2, 3, dtype=getattr(torch, output.dtype))
        stored = encode(made, output, dtype)  # type: ignore[arg-type]
        assert stored.dtype == stored_dtype(output, dtype) == np.dtype(output.dtype)  # type: ignore[arg-type]
        assert decode(stored, output).data_ptr() == made.data_ptr()


def test_a_mask_keeps_its_type_and_values() -> None:
    output = OutputSpec("mask", 1, (0, 40_000), "int32", ("a", "b"))
    mask = torch.tensor([0, 300, 40_000], dtype=torch.int32)
    for dtype in ("float32", "float16", "uint8"):
        assert torch.equal(decode(encode(mask, output, dtype), output), mask)  # type: ignore[arg-type]


def test_types_that_cannot_hold_the_images_are_refused() -> None:
    with pytest.raises(ValueError, match=r"dtype is 'int8', allowed: \('float32', 'float16', 'uint8'\)"):
        check_storage_type("int8", toy_spec())
    wide = toy_spec().replace(outputs={"image": image((0.0, 70_000.0))})
    with pytest.raises(ValueError, match=r"ends at 65504; 'image' has the value range \(0\.0, 70000\.0\)"):
        check_storage_type("float16", wide)
    check_storage_type("uint8", wide)
    labels = toy_spec().replace(outputs={"mask": OutputSpec("mask", 1, (0, 70_000), "int32", ("a", "b"))})
    check_storage_type("float16", labels)
