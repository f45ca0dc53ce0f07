# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import __main__ as runner
from benchmarks.timing import Row

GOOD = '''"""A good one: it measures.

Details.
"""
from benchmarks.timing import Row, show

def rows(quick=False):
    return [Row("x", 2.0 if quick else 3.0, "s", (1.0, 4.0), at_most=5.0)]

if __name__ == "__main__":
    show(rows)
'''
BAD = GOOD.replace("return [", "raise OSError('no space') or [")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of benchmarks with the real runner, a good script and a bad one."""
    package = tmp_path / "benchmarks"
    package.mkdir()
    for name in ("__init__.py", "timing.py"):
        (package / name).write_bytes((runner.FOLDER / name).read_bytes())
    (package / "bad.py").write_text(BAD)
    (package / "good.py").write_text(GOOD)
    monkeypatch.setattr(runner, "FOLDER", package)
    return package


def test_a_failing_benchmark_does_not_stop_the_others(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder / "results"
    assert runner.main(["--out", str(out)]) == 1
    said = capsys.readouterr().out
    assert "[1/2] bad ..." in said
    assert "OSError: no space" in said
    page = (folder / "results.md").read_text()
    assert "## bad" not in page
    assert "OSError: no space" in page
    assert "A good one: it measures\n\n`python -m benchmarks.good`\n\nDetails.\n\n|" in page
    assert "| x   | 3.00 s | 1.00 to 4.00      | ≤ 5 s, reached |" in page
    assert json.loads((out / "good.json").read_text())[0]["value"] == 3.0
    assert not (out / "bad.json").exists()
    assert "CPU" in json.loads((out / "machine.json").read_text())


def test_a_run_of_some_renews_their_tables(folder: Path) -> None:
    (folder / "bad.py").write_text(GOOD.replace("A good one", "Another"))
    assert runner.main(["good"]) == 0
    assert not (folder / "results.md").exists()  # the other one was never measured
    assert "A good one" in (folder / "results" / "results.md").read_text()
    assert runner.main(["bad"]) == 0
    page = (folder / "results.md").read_text()
    assert page.index("## Another: it measures") < page.index("## A good one: it measures")
    facts = folder / "results" / "machine.json"
    facts.write_text(facts.read_text().replace("CPU", "Other CPU"))
    (folder / "results.md").unlink()
    assert runner.main(["bad"]) == 0
    assert not (folder / "results.md").exists()  # the other one was measured elsewhere


def test_quick_figures_replace_no_page_and_have_no_bar(folder: Path) -> None:
    assert runner.main(["good", "--quick", "--out", str(folder / "results")]) == 0
    assert not (folder / "results.md").exists()
    assert "| x   | 2.00 s | 1.00 to 4.00      |\n" in (folder / "results" / "results.md").read_text()


def test_unknown_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        runner.main(["nonsense"])
    assert "unknown: nonsense; there are" in capsys.readouterr().err


def test_every_script_is_a_benchmark() -> None:
    for name in runner.names():
        source = runner.source(name)
        assert "def rows(quick: bool = False" in source, name
        assert "    show(rows)" in source, name


def test_report_has_a_title_per_benchmark() -> None:
    page = runner.report({"CPU": "fast"}, {"imports": [Row("x", 1.0, "s")]})
    assert "| CPU | fast |" in page
    assert "## What importing monai_genaug costs" in page
