# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Bundles of the MONAI model zoo by name: where they lie, and how they get there."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

import monai.bundle
import torch

from monai_genaug.generators.zoo_files import DOCS_PAGE

__all__ = ["bundle_directory", "download_bundle", "is_bundle_name"]


def is_bundle_name(name: str) -> bool:
    """Whether a text can be the name of a bundle, and is no path."""
    return re.fullmatch(r"\w[\w.-]*", name) is not None


def bundle_directory(bundle_dir: str | os.PathLike[str] | None = None) -> Path:
    """Where bundles lie by name: as for ``monai.bundle``, ``bundle`` in torch's hub folder."""
    return Path(torch.hub.get_dir()) / "bundle" if bundle_dir is None else Path(bundle_dir)


def download_bundle(name: str, bundle_dir: str | os.PathLike[str] | None = None) -> Path:
    """Downloads a bundle of the model zoo; its folder appears complete or not at all.

    Args:
        name: of the bundle.
        bundle_dir: see :func:`bundle_directory`.

    Raises:
        ValueError: it cannot be downloaded; the text says why.
    """
    directory = bundle_directory(bundle_dir)
    directory.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=directory, prefix=f".{name}."))
    try:
        monai.bundle.download(name=name, bundle_dir=str(temporary), progress=False)
        (temporary / name).replace(directory / name)
    except Exception as error:  # every source has errors of its own
        raise ValueError(
            f"bundle {name!r} cannot be downloaded with monai.bundle.download to {directory}: "
            f"{type(error).__name__}: {error} (see {DOCS_PAGE})"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return directory / name
