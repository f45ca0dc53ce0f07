# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Weights of third-party bundles: read safely, and every tensor of every network must come from a file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from monai_genaug.weights import WeightsFormatError, WeightsMismatchError, load_strict, read_training_state

__all__ = ["StrictLoading", "load_from_file", "matching_file", "safe_load"]

_Entry = tuple[int, str]


def safe_load(folder: Path, file: str | os.PathLike[str]) -> dict[str, Any]:
    """A checkpoint of a bundle, on the CPU; nothing in it is run.

    Args:
        folder: of the bundle; a relative path starts there.
        file: the checkpoint.

    Raises:
        WeightsError: outside the bundle, missing, damaged, or asking for code to be run.
    """
    path = Path(os.path.abspath(folder / file))  # noqa: PTH100 resolve() would follow the links of a cache
    if not path.is_relative_to(folder):
        raise WeightsFormatError(f"weights {os.fspath(file)!r} lie outside the bundle {folder}.")
    return read_training_state(path)


class StrictLoading:
    """Watches networks while their weights are loaded, by whatever means, and tells what is missing."""

    def __init__(self) -> None:
        self._networks: dict[str, nn.Module] = {}
        self._hooked: set[int] = set()
        self._covered: set[_Entry] = set()
        self._unexpected: dict[int, set[str]] = {}
        self._converting = False

    def watch(self, name: str, network: nn.Module) -> None:
        """Watches a network and its parts from now on."""
        self._networks[name] = network
        if id(network) not in self._hooked:
            self._hooked.add(id(network))
            network.register_load_state_dict_pre_hook(self._before_load)
            network.register_load_state_dict_post_hook(self._after_load)

    @property
    def networks(self) -> dict[str, nn.Module]:
        """Config id -> network, in the order in which they were made; each once."""
        seen: set[int] = set()
        return {n: m for n, m in self._networks.items() if not (id(m) in seen or seen.add(id(m)))}  # type: ignore[func-returns-value]

    def unloaded(self) -> dict[str, nn.Module]:
        """The networks with parameters into which nothing was loaded."""
        return {
            name: network
            for name, network in self.networks.items()
            if any(True for _ in network.parameters()) and not _entries(network).keys() & self._covered
        }

    def check(self) -> None:
        """Refuses networks that have a tensor that no file gave, and files with tensors that no network has.

        Raises:
            WeightsMismatchError: naming the networks and the tensors.
        """
        wrong = []
        for name, network in self.networks.items():
            if not any(True for _ in network.parameters()):
                continue
            missing = sorted(key for entry, key in _entries(network).items() if entry not in self._covered)
            unexpected = sorted(self._unexpected.get(id(network), ()))
            if missing or unexpected:
                wrong.append(
                    f"network {name!r} ({type(network).__name__}): {len(missing)} tensors got no weights {missing[:5]}"
                    f", {len(unexpected)} weights belong to no tensor {unexpected[:5]}"
                )
        if wrong:
            raise WeightsMismatchError("weights do not fit: " + "; ".join(wrong) + ".")

    def _before_load(self, module: nn.Module, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        if prefix:  # part of a larger network that is watched itself, or of none that is
            self._cover(module, {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)})
            return
        convert = getattr(module, "load_old_state_dict", None)
        if convert is not None and not self._converting and state.keys() - module.state_dict().keys():
            self._convert(module, convert, state)
        self._cover(module, state)

    def _convert(self, module: nn.Module, convert: Any, state: dict[str, Any]) -> None:
        """Names of tensors as GenerativeModels wrote them become those of MONAI."""
        self._converting = True
        try:
            convert(dict(state))
        except (KeyError, RuntimeError):
            return  # no such file either: the load that is under way says what does not fit
        finally:
            self._converting = False
        state.clear()
        state.update(module.state_dict())

    def _cover(self, module: nn.Module, state: Mapping[str, Any]) -> None:
        own = module.state_dict(keep_vars=True)
        for entry, key in _entries(module).items():
            given = state.get(key)
            # a state that was begun as a copy of the network's own holds its very tensors where a file had none
            if isinstance(given, Tensor) and (given.numel() == 0 or given.data_ptr() != own[key].data_ptr()):
                self._covered.add(entry)

    def _after_load(self, module: nn.Module, incompatible: Any) -> None:
        self._unexpected.setdefault(id(module), set()).update(incompatible.unexpected_keys)


def load_from_file(network: nn.Module, folder: Path, file: str) -> None:
    """Loads a checkpoint into a network, all of it.

    The file holds a state dict, or one entry that is one, as trainers write it.

    Raises:
        WeightsError: a file that cannot be used or does not fit.
    """
    checkpoint = safe_load(folder, file)
    states = list(_states(checkpoint))
    fitting = [state for state in states if _fits(network, state)]
    if not states:
        raise WeightsFormatError(f"weights {file!r} hold no state dict, but {sorted(map(str, checkpoint))[:8]}.")
    load_strict(network, (fitting or states)[0], file)


def matching_file(network: nn.Module, folder: Path, files: Iterable[Path]) -> str | None:
    """The file that fits a network name by name and shape by shape; of several ``model.pt``, else None."""
    found = []
    for path in files:
        try:
            states = list(_states(safe_load(folder, path)))
        except ValueError:
            continue  # for example a compiled network
        if any(_fits(network, state) for state in states):
            found.append(path.relative_to(folder).as_posix())
    preferred = [name for name in found if name.endswith("/model.pt")]
    return found[0] if len(found) == 1 else next(iter(preferred), None)


def _fits(network: nn.Module, state: Mapping[str, Tensor]) -> bool:
    own = network.state_dict()
    return own.keys() == state.keys() and all(own[key].shape == value.shape for key, value in state.items())


def _states(checkpoint: Mapping[str, Any]) -> Iterable[dict[str, Tensor]]:
    """The state dicts in a checkpoint: itself, or its entries; without the prefix of a parallel wrapper."""
    for part in (checkpoint, *checkpoint.values()):
        if isinstance(part, Mapping) and part and all(isinstance(value, Tensor) for value in part.values()):
            yield {str(key).removeprefix("module."): value for key, value in part.items()}


def _entries(network: nn.Module) -> dict[_Entry, str]:
    """(module, local name) -> name in the state dict, for every tensor of it."""
    modules = dict(network.named_modules(remove_duplicate=False))
    entries: dict[_Entry, str] = {}
    for key, value in network.state_dict().items():
        owner, _, local = key.rpartition(".")
        if owner in modules and isinstance(value, Tensor):
            entries[id(modules[owner]), local] = key
    return entries
