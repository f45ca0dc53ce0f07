# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The configs of a trusted third-party bundle, evaluated item by item, again and again with other values."""

from __future__ import annotations

import copy
import inspect
import pydoc
import random
import re
import types
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.bundle import ConfigComponent, ConfigExpression, ConfigParser, ReferenceResolver
from monai.transforms.transform import Randomizable
from torch import nn

from monai_genaug.generators.global_random_state import seeded_torch_generator
from monai_genaug.generators.seeding import derive_seed
from monai_genaug.generators.zoo_weights import StrictLoading, safe_load

__all__ = ["EvaluatedConfig", "global_state", "located", "modernised"]

_OLD_PACKAGE = re.compile(r"\bgenerative(?=\.(inferers|losses|metrics|networks)\b)")
_WRITES_FILES = re.compile(r"(^|\.)(Save\w*|\w*Saver|TensorBoard\w*|MLFlow\w*)$")
_RENAMED_ARGUMENTS = {"num_channels": "channels", "beta_schedule": "schedule"}


class EvaluatedConfig:
    """Evaluates items of a bundle's config and remembers them, as MONAI does; but for those that must be fresh.

    Fresh in every call of :meth:`value` are the items whose value is given, those that drew from the global random
    state when they were evaluated first, and all that refer to them or to a random generator. Networks are built once.

    Args:
        config: merged and not evaluated; it is copied.
        folder: of the bundle; it replaces the config's ``bundle_root``.
        device: it replaces the config's ``device``.
        overrides: id -> what replaces or adds an item.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        folder: Path,
        device: torch.device,
        overrides: Mapping[str, Any] | None = None,
    ) -> None:
        self.device = device
        self.loading = StrictLoading()
        """Which networks there are and what was loaded into them."""
        values = modernised(_without_savers(copy.deepcopy(dict(config))))
        values.update(bundle_root=str(folder), device=f"$torch.device('{device}')")
        self._parser = ConfigParser(values)
        for id_, value in (overrides or {}).items():
            self._parser.set(copy.deepcopy(value), id_)
        self._parser.parse()
        self._items = self._parser.ref_resolver.items
        self._resolved = self._parser.ref_resolver.resolved_content
        self._raw = {id_: copy.deepcopy(item.get_config()) for id_, item in self._items.items()}
        self._references = {id_: set(ReferenceResolver.find_refs_in_config(r, id_)) for id_, r in self._raw.items()}
        self._torch = _torch_for_bundle(folder)
        self._drawing: set[str] = set()
        self._sources: dict[str, Any] = {}
        self._given: set[str] = set()
        for id_, item in self._items.items():
            if isinstance(item, ConfigComponent):
                _rename_arguments(item, self._raw[id_])
                item.instantiate = self._watched(id_, item.instantiate)
            elif isinstance(item, ConfigExpression):
                item.evaluate = self._watched(id_, item.evaluate)

    def __contains__(self, id_: str) -> bool:
        return id_ in self._items

    def ids(self) -> list[str]:
        """All ids, those inside an item before it."""
        return list(self._items)

    def target(self, id_: str) -> Any:
        """The class or function that a component's ``_target_`` names; None for anything else."""
        item = self._items.get(id_)
        return located(item) if isinstance(item, ConfigComponent) else None

    def raw(self, id_: str) -> Any:
        """An item as it stands in the config, None where there is none."""
        return self._raw.get(id_)

    def once(self, id_: str) -> Any:
        """The value of an item, evaluated now if it was not before."""
        return self._parser.ref_resolver.get_resolved_content(id_)

    def value(self, id_: str, given: Mapping[str, Any]) -> Any:
        """The value of an item when other items have the values ``given``.

        Args:
            id_: of the item.
            given: id -> value; the ids that are given must be the same in every call.
        """
        self._given |= set(given)
        for stale in self.dependants(self._drawing | self._given | set(self._sources)) - set(self._sources):
            if not _is_network(self._resolved.get(stale)):
                self._forget(stale)
        self._resolved.update(given)
        return self.once(id_)

    def dependants(self, ids: Iterable[str]) -> set[str]:
        """The ids and all that refer to them, directly or not."""
        found = set(ids)
        while True:
            more = {id_ for id_, needed in self._references.items() if id_ not in found and found & needed}
            if not more:
                return found
            found |= more

    def requirements(self, id_: str) -> set[str]:
        """The id and all that it refers to, directly or not."""
        found: set[str] = set()
        waiting = {id_}
        while waiting:
            current = waiting.pop()
            found.add(current)
            waiting |= self._references.get(current, set()) - found
        return found

    def resolved(self) -> list[Any]:
        """All values so far."""
        return list(self._resolved.values())

    def seed_sources(self, seed: int) -> None:
        """Sets the state of all random generators that the config made."""
        for id_, source in self._sources.items():
            own = derive_seed("source", id_, seed)
            if isinstance(source, torch.Generator):
                source.set_state(seeded_torch_generator(own, source.device).get_state())
            elif isinstance(source, np.random.Generator):
                source.bit_generator.state = type(source.bit_generator)(own).state
            else:
                source.set_state(np.random.RandomState(np.random.MT19937(own)).get_state())

    def _forget(self, id_: str) -> None:
        self._resolved.pop(id_, None)
        if id_ in self._items:
            self._items[id_].update_config(copy.deepcopy(self._raw[id_]))

    def _watched(self, id_: str, evaluate: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            self._parser.globals["torch"] = self._torch  # an import of the config may have put torch itself there
            before = global_state(self.device)
            made = evaluate(*args, **kwargs)
            networks = _networks_in(made)
            for name, network in networks.items():
                self.loading.watch(f"{id_}{name}", network)
            if isinstance(made, (torch.Generator, np.random.Generator, np.random.RandomState)):
                self._sources[id_] = made
            elif not networks and global_state(self.device) != before:
                self._drawing.add(id_)
            return made

        return watched


def modernised(config: Any) -> Any:
    """A config whose names of GenerativeModels (``generative.``) are those of MONAI, which it became part of."""
    if isinstance(config, str):
        return _OLD_PACKAGE.sub("monai", config)
    if isinstance(config, Mapping):
        return {key: modernised(value) for key, value in config.items()}
    return [modernised(value) for value in config] if isinstance(config, list) else config


def _without_savers(config: Any) -> Any:
    """A config whose transforms and handlers that write files are disabled."""
    if isinstance(config, Mapping):
        plain = {key: _without_savers(value) for key, value in config.items()}
        target = plain.get("_target_")
        if isinstance(target, str) and _WRITES_FILES.search(target):
            plain["_disabled_"] = True
        return plain
    return [_without_savers(value) for value in config] if isinstance(config, list) else config


def _rename_arguments(item: ConfigComponent, raw: dict[str, Any]) -> None:
    """Arguments that had another name in GenerativeModels, where the class has the new one only."""
    old = [name for name in _RENAMED_ARGUMENTS if name in raw]
    target = located(item) if old else None
    if target is None:
        return
    known = _parameters(target)
    for name in old:
        if name not in known and _RENAMED_ARGUMENTS[name] in known:
            raw[_RENAMED_ARGUMENTS[name]] = raw.pop(name)
    item.update_config(copy.deepcopy(raw))


def located(item: ConfigComponent) -> Any:
    """What a component's ``_target_`` names, None if it cannot be found; nothing is called."""
    target = item.resolve_module_name()
    if not isinstance(target, str):
        return target
    try:
        return pydoc.locate(target)
    except pydoc.ErrorDuringImport:  # for example a trainer whose libraries are not installed
        return None


def _parameters(target: Any) -> set[str]:
    try:
        return set(inspect.signature(target).parameters)
    except (TypeError, ValueError):
        return set()


def _torch_for_bundle(folder: Path) -> types.ModuleType:
    """torch, but for ``load``, which reads files of the bundle only, onto the CPU, and runs nothing in them."""
    module = types.ModuleType("torch")
    module.__getattr__ = lambda name: getattr(torch, name)  # type: ignore[method-assign]
    module.load = lambda file, *args, **kwargs: safe_load(folder, file)  # type: ignore[attr-defined]
    return module


def _networks_in(made: Any) -> dict[str, nn.Module]:
    """The networks that a value is or holds, by what follows the value's name."""
    if _is_network(made):
        return {"": made}
    if isinstance(made, (type, types.ModuleType, types.FunctionType)):
        return {}
    if isinstance(made, (list, tuple)):
        parts: Mapping[Any, Any] = dict(enumerate(made))
    else:
        parts = made if isinstance(made, Mapping) else getattr(made, "__dict__", {})
    return {f".{key}": part for key, part in parts.items() if _is_network(part)}


def _is_network(made: Any) -> bool:
    """Whether a value is a module; some schedulers of MONAI derive from it without becoming one."""
    return isinstance(made, nn.Module) and "_parameters" in vars(made)


def global_state(device: torch.device) -> tuple[Any, ...]:
    """The global random state, in a form that can be compared."""
    of_numpy: list[Any] = [np.random.get_state(), Randomizable.R.get_state()]
    on_gpu = torch.cuda.get_rng_state(device).numpy().tobytes() if device.type == "cuda" else b""
    torch_state = torch.get_rng_state().numpy().tobytes()
    return torch_state, on_gpu, *[(state[1].tobytes(), state[2:]) for state in of_numpy], random.getstate()
