# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Every code block of every page runs as it stands (``make docs``)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.code_blocks import read_blocks, run_page
from tests.docs.pages import PAGES, Inputs, all_pages

_ALL = all_pages()
_WITH_CODE = [name for name, page in _ALL.items() if any(block.language for block in read_blocks(page))]


@pytest.mark.timeout(600)  # a pool that is built in the background waits for what else the machine does
@pytest.mark.parametrize("name", _WITH_CODE)
def test_examples_of_a_page(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    inputs = PAGES.get(name, Inputs())
    names = run_page(_ALL[name], inputs.prepare(tmp_path), inputs.options, inputs.exit_codes)
    inputs.check(names)


def test_inputs_are_those_of_pages_with_code() -> None:
    assert set(PAGES) <= set(_WITH_CODE)
