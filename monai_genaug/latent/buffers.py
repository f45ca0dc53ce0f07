# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Modules whose state has as many rows as the data it was fitted on."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

__all__ = ["ResizableBuffers"]


class ResizableBuffers(nn.Module):
    """Module that lets ``load_state_dict`` change the length of some buffers.

    A freshly built metric or mixture has no rows yet; loading ``model.pt`` must restore all of them without knowing
    their number beforehand. The other dimensions must match, as always.

    Attributes:
        resizable: names of the buffers whose first dimension follows the loaded state.
    """

    resizable: ClassVar[tuple[str, ...]] = ()

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        for name in self.resizable:
            loaded, present = state_dict.get(prefix + name), getattr(self, name)
            if isinstance(loaded, Tensor) and loaded.ndim > 0 and loaded.shape[1:] == present.shape[1:]:
                setattr(self, name, torch.empty(loaded.shape, dtype=present.dtype, device=present.device))
        super()._load_from_state_dict(state_dict, prefix, *args)
