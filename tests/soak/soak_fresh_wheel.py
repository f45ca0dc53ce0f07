# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The wheel in a new virtual environment, with dependencies from the package index (``make soak``; minutes, GB)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(3600)
def test_every_command_of_a_wheel_that_is_installed_alone(tmp_path: Path) -> None:
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path / "dist"), versions=["standard"])
    environment, here = tmp_path / "environment", tmp_path / "here"
    here.mkdir()
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    install = ["install", "--quiet", "--disable-pip-version-check", f"{wheel}[demo]"]
    subprocess.run([environment / "bin" / "python", "-m", "pip", *install], check=True)
    shutil.copy(ROOT / "tests" / "wheel_commands.py", here)
    variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "GENAUG_DATA")}
    for command in (["python", "wheel_commands.py"], ["monai-genaug", "list"]):
        program = [environment / "bin" / command[0], *command[1:]]
        done = subprocess.run(program, cwd=here, env=variables, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        assert command[0] != "python" or Path(done.stdout.splitlines()[-1]).is_relative_to(environment)
