# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The files of a third-party bundle, read as data: nothing here evaluates anything."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

from monai_genaug._help import docs_link
from monai_genaug.weights import file_sha256

__all__ = ["DOCS_PAGE", "BundleFiles", "is_zoo_bundle"]

DOCS_PAGE = docs_link("how_to/third_party_bundles")
"""Where errors point to."""

_CONFIG_NAMES = ("inference", "infer", "sample", "generate")
_SUFFIXES = (".json", ".yaml", ".yml")
_WEIGHT_SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors")
_SHOWN = 12


def is_zoo_bundle(folder: Path) -> bool:
    """Whether a folder has the layout of the MONAI model zoo."""
    return bool(_found_configs(folder)) or (folder / "configs" / "metadata.json").is_file()


@dataclass(frozen=True)
class BundleFiles:
    """A folder with the layout of the MONAI model zoo, and the configs in it that describe sampling.

    Args:
        folder: absolute path.
        config_files: relative to it; a later one overrides the ids of an earlier one.
    """

    folder: Path
    config_files: tuple[str, ...]

    @classmethod
    def find(cls, folder: Path, config_files: Sequence[str] = ()) -> BundleFiles:
        """The files of a bundle; without ``config_files`` those with the usual names.

        Raises:
            ValueError: no such config; the text names what is there.
        """
        folder = Path(folder).absolute()
        chosen = tuple(config_files) or _found_configs(folder)
        missing = [name for name in chosen if not (folder / name).is_file()]
        if missing or not chosen:
            there = sorted(path.name for path in (folder / "configs").glob("*"))
            raise ValueError(
                f"{folder} has no config for sampling: {missing or [f'configs/{_CONFIG_NAMES[0]}.json']} "
                f"(or .yaml) not found, configs has {there}. A recipe can name others in config_files, see {DOCS_PAGE}."
            )
        return cls(folder, chosen)

    def config(self) -> dict[str, Any]:
        """The merged configs, not evaluated.

        Raises:
            ValueError: a file that cannot be parsed.
        """
        try:
            merged = ConfigParser.load_config_files([str(self.folder / name) for name in self.config_files])
        except Exception as error:  # JSON and YAML errors have no common class
            raise ValueError(f"{self.folder}: configs {self.config_files} cannot be read: {error}") from error
        return dict(merged)

    def metadata(self) -> dict[str, Any]:
        """``configs/metadata.json``, empty where there is none."""
        for suffix in _SUFFIXES:
            path = self.folder / "configs" / f"metadata{suffix}"
            if path.is_file():
                return dict(ConfigParser.load_config_file(str(path)))
        return {}

    def code_sha256(self) -> str:
        """Hash of what was trusted: all configs, and all files of the Python modules in the folder."""
        paths = [path for path in (self.folder / "configs").rglob("*") if path.is_file()]
        paths += [path for path in self._module_files() if "__pycache__" not in path.parts]
        return self._hash(paths, "code")

    def weights(self) -> list[Path]:
        """The weight files in ``models``, sorted by name."""
        models = self.folder / "models"
        return sorted(path for path in models.rglob("*") if path.suffix in _WEIGHT_SUFFIXES and path.is_file())

    def weights_sha256(self) -> str:
        """One hash of all weight files and their names."""
        return self._hash(self.weights(), "weights")

    def scripts(self) -> list[str]:
        """The Python files that ``import`` can find, relative to the folder."""
        return [name for name in self._names(self._module_files()) if name.endswith((".py", ".so", ".pyd"))]

    def what_trust_would_run(self) -> str:
        """What evaluating the configs could run, for people: expressions, imports, scripts, other packages."""
        config = self.config()
        expressions = {where: text for where, text in strings(config) if text.startswith("$")}
        imports = [text[1:] for text in expressions.values() if re.match(r"\$\s*(import|from)\s", text)]
        others = {where: text for where, text in expressions.items() if text[1:] not in imports}
        targets = {text for where, text in strings(config) if where.endswith("_target_")}
        foreign = sorted(text for text in targets if "." in text and text.partition(".")[0] not in ("monai", "torch"))
        shown = [f"{where}: {text}" for where, text in others.items()][:_SHOWN]
        more = f"\n    ... and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
        return (
            f"  {len(others)} expressions of {list(self.config_files)}:\n    " + "\n    ".join(shown) + f"{more}\n"
            f"  imports: {imports}\n"
            f"  Python files: {self.scripts()}\n"
            f"  _target_s outside monai and torch: {foreign}"
        )

    def _module_files(self) -> list[Path]:
        tops = {path.parent for path in self.folder.glob("*/*.py")}
        loose = [path for path in self.folder.glob("*") if path.suffix in (".py", ".pyc", ".so", ".pyd")]
        return loose + [path for top in tops for path in top.rglob("*") if path.is_file()]

    def _names(self, paths: Sequence[Path]) -> list[str]:
        return sorted({path.relative_to(self.folder).as_posix() for path in paths if "__pycache__" not in path.parts})

    def _hash(self, paths: Sequence[Path], what: str) -> str:
        digest = hashlib.sha256(what.encode())
        for name in self._names(paths):
            digest.update(f"{name}\x1f{file_sha256(self.folder / name)}\x1f".encode())
        return digest.hexdigest()


def strings(config: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """All strings of a nested config with their ids."""
    if isinstance(config, str):
        yield where, config
    items = config.items() if isinstance(config, Mapping) else enumerate(config) if isinstance(config, list) else ()
    for key, value in items:
        yield from strings(value, f"{where}::{key}" if where else str(key))


def _found_configs(folder: Path) -> tuple[str, ...]:
    for stem in _CONFIG_NAMES:
        for suffix in _SUFFIXES:
            if (folder / "configs" / f"{stem}{suffix}").is_file():
                common = [f"configs/common{s}" for s in _SUFFIXES if (folder / "configs" / f"common{s}").is_file()]
                return (*common[:1], f"configs/{stem}{suffix}")
    return ()
