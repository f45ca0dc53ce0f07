# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs every command of an installed package once, at tiny size; a program of its own, which imports no other test.

``python wheel_commands.py`` in an empty folder. Ends with an error at the first command that does something else than
expected; prints where the package lies.
"""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

import monai_genaug
from monai_genaug.cli import app

COMMANDS = """
list --json
info hippocampus_mri_rhvae
preview breast_us_cvae --count 2 --out samples.png
preview hippocampus_mri_rhvae --count 1 --gif --out volumes.png
generate breast_us_cvae --count 10 --format png --out pictures
generate breast_us_cvae --count 10 --format png --seed 1 --out others
generate breast_us_cvae --count 2 --out pool --json
convert pool --to npz --out arrays --json
convert pictures --to pool --out pictures_pool
convert breast_us_cgan --to torchscript --out network.ts
evaluate breast_us_cvae --real pictures --out evaluation
evaluate --synthetic others --real pictures --features random --json
train pictures/imagesTr --out run --model vae --size 8 --epochs 1 --json
generate run/bundle --count 1 --out own_pool
leakage breast_us_cvae pictures --json
demo --steps 1 --samples 2 --out demo --json
"""
EITHER = """
duplicates one=pictures two=others
audit breast_us_cvae --train pictures --held-out others --samples 20 --out audit
"""
FILES = """
samples.png volumes.png volumes.gif pictures/datalist.json pool/pool.json arrays/datalist.json pictures_pool/pool.json
network.ts network.ts.json evaluation/evaluation.json evaluation/evaluation.md run/bundle/configs/generator.json
audit/audit.json demo/report.md
"""


def main() -> None:
    """Runs all commands, some of which may also end with 1: something was found."""
    lines = [line for line in (COMMANDS + EITHER).splitlines() if line]
    known = {str(command.name) for command in app.registered_commands}
    assert known == {line.split()[0] for line in lines}, sorted(known)
    for line in lines:
        result = CliRunner().invoke(app, line.split())
        allowed = (0, 1) if line in EITHER else (0,)
        assert result.exit_code in allowed, f"{line}: {result.exit_code}\n{result.output}\n{result.exception!r}"
        assert "--json" not in line or json.loads(result.stdout), line
    missing = [name for name in FILES.split() if not Path(name).is_file()]
    assert not missing, missing
    print(Path(monai_genaug.__file__).parent)


if __name__ == "__main__":
    main()
