# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A few calls that show whether somebody else's decoder keeps what a generator promises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from monai_genaug.generators.base import Samples
from monai_genaug.generators.decoded_samples import Decoded, decoded_samples, image_parts
from monai_genaug.generators.encoder_input import RANGE_TOLERANCE
from monai_genaug.generators.global_random_state import own_random_state
from monai_genaug.generators.sample_checks import PIXEL_TOLERANCE, check_output
from monai_genaug.generators.spec import GeneratorSpec

__all__ = ["check_decoder", "differing_outputs"]

_OUTSIDE = 0.05  # share of the pixels that a decoder may have outside its range
_FLIPPED = 1e-3  # share of a mask's voxels whose label may be a matter of rounding


def check_decoder(
    run: Callable[[list[int], list[int] | None], Decoded],
    spec: GeneratorSpec,
    decoder_range: tuple[float, float],
    device: torch.device,
) -> None:
    """Decodes two seeds together and the first one alone, twice; the global random state stays as it is.

    Args:
        run: seeds and classes -> what the decoder returns.
        spec: of the generator.
        decoder_range: see :class:`ModuleGenerator`.
        device: of the decoder.

    Raises:
        ValueError: it fails, returns something else than the spec says, values mostly out of range, or a sample that
            depends on its batch or on the global random state.
    """

    def samples(seeds: list[int]) -> Samples:
        decoded = _called(run, seeds, spec)
        made = decoded_samples(decoded, spec, decoder_range)
        for name, output in spec.outputs.items():
            check_output(name, made[name], (len(seeds), output.channels, *spec.spatial_shape), output)
        for image in image_parts(decoded, spec):
            _check_range(image, decoder_range, spec)
        return made

    with torch.no_grad(), own_random_state(0, device):
        alone, again = samples([0]), samples([0])
        if differing := differing_outputs(alone, again, spec):
            raise ValueError(
                f"the decoder of {spec.name!r} made another {differing} of the same code in a second call: it draws "
                "random numbers or remembers. Give it all of its noise as the code, or use a FunctionGenerator with "
                "uses_global_state=True."
            )
        if not spec.reproducible_batches:
            return
        together = samples([0, 1])
    if differing := differing_outputs(alone, {name: values[:1] for name, values in together.items()}, spec):
        raise ValueError(
            f"the decoder of {spec.name!r} makes another {differing} of a code that shares its batch with a second one "
            "(batch norm in training mode?): give a spec with reproducible_batches=False, and it gets one code per "
            "call."
        )


def differing_outputs(one: Samples, other: Samples, spec: GeneratorSpec) -> list[str]:
    """Names of the outputs that differ by more than the contract allows."""
    found = []
    for name, output in spec.outputs.items():
        if output.kind == "image":
            low, high = output.value_range
            is_close = (one[name] - other[name]).abs().max() <= PIXEL_TOLERANCE * (high - low)
        else:
            is_close = (one[name] != other[name]).float().mean() <= _FLIPPED
        if not is_close:
            found.append(name)
    return found


def _called(run: Callable[..., Any], seeds: list[int], spec: GeneratorSpec) -> Decoded:
    numbers = None if spec.classes is None else sorted(spec.classes)
    classes = None if numbers is None else [numbers[row % len(numbers)] for row in range(len(seeds))]
    try:
        decoded: Decoded = run(seeds, classes)
    except Exception as error:  # of a network that we know nothing about
        hint = "" if len(seeds) == 1 else " (a spec with reproducible_batches=False gives it one code per call)"
        reason = (str(error).strip().splitlines() or [""])[-1]
        raise ValueError(
            f"the decoder of {spec.name!r} failed on a batch of {len(seeds)}{hint}: {type(error).__name__}: {reason}"
        ) from error
    return decoded


def _check_range(image: torch.Tensor, decoder_range: tuple[float, float], spec: GeneratorSpec) -> None:
    first, last = decoder_range
    slack = RANGE_TOLERANCE * (last - first)
    outside = ((image < first - slack) | (image > last + slack)).float().mean()
    if outside > _OUTSIDE:
        raise ValueError(
            f"the decoder of {spec.name!r} makes values from {float(image.min()):.4g} to {float(image.max()):.4g}, "
            f"{float(outside):.0%} of them outside decoder_range={decoder_range}: give the range that becomes the "
            "spec's value_range, such as (-1, 1) after a tanh."
        )
