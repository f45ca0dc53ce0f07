# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import matplotlib.image

from monai_genaug.experiments.audit_roc import draw_roc, trials_table
from monai_genaug.experiments.audit_trials import CHECKS, SHARES, Trial


def trial(kind: str, share: float | None, score: float, effect: float) -> Trial:
    return Trial("set", kind, share, score <= 1, score, dict.fromkeys(CHECKS, effect), 50)


TRIALS = [
    trial("real", 0.0, 0.2, 0.01),
    trial("real", 0.0, 0.6, 0.03),
    *(trial("exact", share, 40 * share, share) for share in SHARES),
    trial("noisy", 0.05, 0.4, 0.02),
    trial("bundle", None, 7.0, 0.2),
]


def test_tables_count_honest_copying_and_unknown_generators() -> None:
    text = trials_table(TRIALS)
    assert "| set | 2 | 2 | 0.030 | 0.030 | 0.030 |" in text
    assert "| set | 100% | 50 to 50 | 1 | 1 | 1.00 |" in text
    assert "| set | 5% | 50 to 50 | 2 | 1 | 0.75 |" in text
    assert "| set | bundle | unknown | 0.200 | 0.200 | 0.200 | 7.0 | FAILED |" in text
    assert text.count("| set | real |") == 1


def test_the_picture_is_written_whole(tmp_path) -> None:
    draw_roc(TRIALS, tmp_path / "new" / "roc.png")
    assert matplotlib.image.imread(tmp_path / "new" / "roc.png").std() > 0.05
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["roc.png"]
