# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Building a pool in a process of its own, while this one trains."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from types import FunctionType
from typing import IO, Any

from monai_genaug.generators.base import SampleGenerator

__all__ = ["BackgroundBuild"]

_SHOWN_CHARACTERS = 3000


class BackgroundBuild:
    """Builds one pool after another, each in a new process with one thread and a low priority.

    The processes are fresh interpreters: none is a fork, and none runs the user's script again. One ends when this
    object goes, when this process exits, and (not on Windows) soon after it was killed. What it has made by then stays,
    and building that pool again continues there.

    Args:
        generator: makes the items, on its own device; pickled here, once.

    Raises:
        ValueError: a generator that cannot be pickled, or whose class another process cannot import.
    """

    def __init__(self, generator: SampleGenerator) -> None:
        self.folder: Path | None = None
        """The pool that is being built; None if there is none."""
        self._input = _pickled(generator)
        self._end_of_generator = self._input.tell()
        self._messages: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._end: weakref.finalize[..., BackgroundBuild] | None = None

    def start(self, folder: Path, arguments: Mapping[str, Any]) -> None:
        """Starts to build a pool; another one that is being built is left unfinished.

        Args:
            folder: of the pool.
            arguments: further ones of :func:`build_pool`.
        """
        if folder == self.folder:
            return
        self.stop()
        self._input.seek(self._end_of_generator)
        self._input.truncate()
        pickle.dump({**arguments, "folder": folder}, self._input)
        self._input.flush()
        os.lseek(self._input.fileno(), 0, os.SEEK_SET)
        self._messages = tempfile.TemporaryFile()  # noqa: SIM115 stop() closes it
        self._process = subprocess.Popen(
            [sys.executable, "-m", "monai_genaug.generators.pool_process", str(os.getpid())],
            stdin=self._input,
            stdout=self._messages,
            stderr=self._messages,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
            start_new_session=True,  # an interrupt from the keyboard is for the training
        )
        self._end = weakref.finalize(self, _end, self._process, os.getpid())
        self.folder = folder

    def finished(self, timeout: float) -> bool:
        """Waits for the pool that is being built.

        Args:
            timeout: seconds to wait at most.

        Returns:
            Whether none is being built any more.

        Raises:
            RuntimeError: the process failed; with what it said.
        """
        if self._process is None:
            return True
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        assert self._messages is not None
        self._messages.seek(0)
        said = self._messages.read().decode(errors="replace")[-_SHOWN_CHARACTERS:]
        folder = self.folder
        self.stop()
        if code:
            raise RuntimeError(f"the process that builds {folder} ended with exit code {code}:\n{said}")
        return True

    def stop(self) -> None:
        """Ends the process, if there is one."""
        if self._end is not None:
            self._end()
        if self._messages is not None:
            self._messages.close()
        self.folder = self._process = self._messages = self._end = None


def _end(process: subprocess.Popen[bytes], owner: int) -> None:
    if os.getpid() == owner:  # not a fork of it
        process.kill()
        process.wait()


class _Pickler(pickle.Pickler):
    """Refuses what only this process's main script defines."""

    def reducer_override(self, thing: Any) -> Any:
        if isinstance(thing, (type, FunctionType)) and thing.__module__ == "__main__":
            raise pickle.PicklingError(f"{thing.__qualname__} is defined in the main script")
        return NotImplemented


def _pickled(generator: SampleGenerator) -> IO[bytes]:
    """An unnamed file with the generator: a process can read it at its own speed, and nobody waits."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 lives as long as its user
    try:
        _Pickler(file, pickle.HIGHEST_PROTOCOL).dump(generator)
    except (pickle.PicklingError, AttributeError, TypeError, RuntimeError) as error:
        file.close()
        raise ValueError(
            f"generator {generator.spec.name!r} cannot be handed to another process: {error}. Use a bundle "
            "(load_generator), or define its class in a module that can be imported."
        ) from error
    return file
