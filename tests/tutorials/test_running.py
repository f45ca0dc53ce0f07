# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tutorials import __main__ as command
from tutorials import running

BARS = "Loading:   0%|          | 0/3 [00:00<?, ?it/s]\rLoading: 100%|██████████| 3/3 [00:00<00:00, 9.48it/s]\n"


def streams(*texts: tuple[str, str]) -> Any:
    return new_code_cell("x", outputs=[new_output("stream", name=name, text=text) for name, text in texts])


def write_notebook(path: Path, *sources: str) -> Path:
    nbformat.write(new_notebook(cells=[new_markdown_cell("# Title"), *map(new_code_cell, sources)]), path)
    return path


def test_progress_bars_and_what_they_overwrite_go(tmp_path: Path) -> None:
    cell = streams(("stdout", "before\n"), ("stderr", BARS), ("stdout", "10%\r20%\rdone\n\x1b[31mred\x1b[0m\n"))
    running.tidied(new_notebook(cells=[cell]), tmp_path)
    assert [output.text for output in cell.outputs] == ["before\n", "done\nred\n"]


def test_pieces_of_a_stream_become_one(tmp_path: Path) -> None:
    cell = streams(("stdout", "a\nb"), ("stdout", "c\n"), ("stderr", "warning\n"))
    running.tidied(new_notebook(cells=[cell]), tmp_path)
    assert [(output.name, output.text) for output in cell.outputs] == [("stdout", "a\nbc\n"), ("stderr", "warning\n")]


def test_paths_of_the_machine_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENAUG_DATA", "/somewhere/data_sets")
    text = f"{tmp_path}/run/bundle {running.FOLDER.parent}/README.md /somewhere/data_sets/a.npz"
    shown = new_output("execute_result", data={"text/plain": text, "image/png": "aGFsbG8="}, execution_count=1)
    cell = new_code_cell("x", outputs=[shown])
    running.tidied(new_notebook(cells=[cell]), tmp_path)
    assert cell.outputs[0].data["text/plain"] == "./run/bundle monai_genaug/README.md data/a.npz"
    assert cell.outputs[0].data["image/png"] == "aGFsbG8="


def test_a_notebook_is_run_in_its_folder_with_its_size(tmp_path: Path) -> None:
    source = "import os\nfrom pathlib import Path\nPath('made').touch()\nprint(os.environ['GENAUG_TUTORIAL_SIZE'])"
    path = write_notebook(tmp_path / "9_x.ipynb", source)
    folder = tmp_path / "folder"
    folder.mkdir()
    done = running.tidied(running.executed(path, folder, "small"), folder)
    assert (folder / "made").is_file()
    assert done.cells[1].outputs[0].text == "small\n"
    assert "execution" not in done.cells[1].metadata
    assert nbformat.read(path, as_version=4).cells[1].outputs == []
    with pytest.raises(CellExecutionError, match="no such thing"):
        running.executed(write_notebook(tmp_path / "8_y.ipynb", "raise OSError('no such thing')"), folder, "small")


def test_a_failing_notebook_keeps_its_outputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good = write_notebook(tmp_path / "1_good.ipynb", "print('fine')")
    bad = write_notebook(tmp_path / "2_bad.ipynb", "raise OSError('no such thing')")
    before = bad.read_bytes()
    monkeypatch.setattr(running, "FOLDER", tmp_path)
    assert command.main(["--size", "small"]) == 1
    assert bad.read_bytes() == before
    assert nbformat.read(good, as_version=4).cells[1].outputs[0].text == "fine\n"
    assert "2_bad failed" in capsys.readouterr().out
    assert not list(tmp_path.glob("*.tmp"))
    with pytest.raises(SystemExit):
        command.main(["7"])
