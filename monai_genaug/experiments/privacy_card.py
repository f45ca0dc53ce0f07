# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The table of a model card that says what a generator gives away of its training items, and its warning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from monai_genaug.experiments.bundle_privacy import BundlePrivacy
from monai_genaug.quality import AuditCheck, AuditReport

__all__ = ["CHECK_TITLES", "privacy_section", "privacy_warnings"]

_ALL = "all"
CHECK_TITLES = {
    "exact_copies": "exact copies",
    "copies": "near copies",
    "distance_ratio": "distance to training items",
    "membership": "membership inference from samples",
    "reconstruction": "membership inference by the encoder",
    "centroids": "decoded latent codes in the weights",
}
_EFFECTS = {
    "exact_copies": "share of samples that equal a training item",
    "copies": "share of samples that are relatively nearer to a training item than real items are, in excess",
    "distance_ratio": "mean log(distance to held-out / distance to training items), in excess",
    "membership": "area under the ROC curve above 0.5",
    "reconstruction": "area under the ROC curve above 0.5",
    "centroids": "mean log(distance to held-out / distance to training items), in excess",
}
_MEANINGS = {
    "exact_copies": "some samples are training images: whoever shares them shares images of patients.",
    "copies": "more samples than chance explains lie close to one training image each: look at the closest pairs "
    "before samples are shared.",
    "distance_ratio": "samples are nearer to the training images than to other real images: they carry traces of "
    "single patients.",
    "membership": "somebody with many samples and an image of a patient can tell better than by guessing whether it "
    "was trained on.",
    "reconstruction": "somebody with the weights and an image of a patient can tell better than by guessing whether "
    "it was trained on; samples alone do not allow that.",
    "centroids": "the weights hold latent codes whose images are near to training images: share samples rather than "
    "weights.",
}


def privacy_section(privacy: BundlePrivacy) -> str:
    """Markdown of verdict, table and, where a check fails, what that means."""
    report, beside = privacy.report, privacy.validation
    lines = [
        "### What samples and weights give away",
        "",
        f"Privacy audit (`monai_genaug.quality.audit`): {report.n_samples} samples, {report.n_train} training items "
        f"against {report.n_held_out} that were not trained on (validation and test; {report.n_shared} more, which the "
        "training part has too, exactly or nearly, are left out). A check fails if its effect is above the limit and "
        "not by chance. Passing means that none of these attacks succeeds, not that none can.",
        "",
        f"| check | effect [95 % interval] | limit | |{'' if beside is None else ' beside validation alone |'}",
        f"|---|---|---|---|{'' if beside is None else '---|'}",
        *(_row(check, beside) for check in report.checks if check.scope == _ALL or not check.passed),
        "",
        f"Effects: {_effects(report)}.",
        "",
        f"**Privacy: {_verdict_of(verdict.ok for verdict in privacy.verdicts)}** (every check, of all samples together "
        f"and of each class). Samples alone: {_verdict_of(verdict.samples_ok for verdict in privacy.verdicts)}."
        f"{_other_samples(privacy)}",
    ]
    if beside is not None and beside.ok:
        lines += ["", _OTHER_ORIGIN.format(count=beside.n_held_out)]
    elif failed := _failed(privacy):
        confidential = "the weights" if _samples_ok(privacy) else "samples and weights"
        meanings = (f"- {CHECK_TITLES[name].capitalize()}: {_MEANINGS[name]}" for name in failed)
        lines += ["", *meanings, "", _ADVICE.format(confidential=confidential)]
    return "\n".join(lines)


def privacy_warnings(privacy: BundlePrivacy) -> tuple[str, ...]:
    """One sentence where a check fails; nothing if all pass."""
    failed = _failed(privacy)
    if not failed:
        return ()
    passed = [verdict.ok for verdict in privacy.verdicts]
    some = f" with {passed.count(False)} of {len(passed)} sets of samples" if any(passed) else ""
    advice = "treat samples as confidential as the training images."
    if privacy.validation is not None and privacy.validation.ok:
        advice = "beside the validation part alone it passes, the test part may be of another origin."
    elif _samples_ok(privacy):
        advice = "samples alone pass."
    return (f"The privacy audit fails{some} ({', '.join(CHECK_TITLES[name] for name in failed)}): {advice}",)


_OTHER_ORIGIN = (
    "Beside the {count} items of the validation part alone every check passes. Held-out items of another origin than "
    "the training items, which a test part may have, make a check fail without memorisation; fewer items find less."
)
_ADVICE = (
    "Where the training images are public, as those of the shipped bundles are, this gives away nothing new; otherwise "
    "{confidential} are as confidential as the images."
)


def _other_samples(privacy: BundlePrivacy) -> str:
    """Which checks fail with other samples; a sentence with a blank before it, or nothing."""
    if not privacy.repeats:
        return ""
    seeds = f"seeds {privacy.repeats[0].seed} to {privacy.repeats[-1].seed}"
    failed = Counter(check for verdict in privacy.repeats for check in verdict.failed)
    names = ", ".join(f"{_title(name, scope)} {count}" for (name, scope), count in failed.most_common())
    return f" Checks that fail with other samples ({seeds}), and how often: {names or 'none'}."


def _verdict_of(passed: Iterable[bool]) -> str:
    each = list(passed)
    return (
        "passes" if all(each) else f"passes with {sum(each)} of {len(each)} sets of samples" if any(each) else "FAILS"
    )


def _samples_ok(privacy: BundlePrivacy) -> bool:
    return all(verdict.samples_ok for verdict in privacy.verdicts)


def _row(check: AuditCheck, beside: AuditReport | None) -> str:
    cells = [_title(check.name, check.scope), _effect(check), f"{check.threshold:g}", _verdict(check)]
    if beside is not None:
        same = [each for each in beside.checks if (each.name, each.scope) == (check.name, check.scope)]
        cells += [f"{_effect(each)}, {_verdict(each)}" for each in same] or ["-"]
    return f"| {' | '.join(cells)} |"


def _title(name: str, scope: str) -> str:
    return CHECK_TITLES[name] + ("" if scope == _ALL else f" ({scope})")


def _effect(check: AuditCheck) -> str:
    low, high = check.interval
    return f"{check.effect:.3f} [{low:.3f}, {high:.3f}]"


def _verdict(check: AuditCheck) -> str:
    return "passes" if check.passed else "FAILS"


def _failed(privacy: BundlePrivacy) -> list[str]:
    return list(dict.fromkeys(name for verdict in privacy.verdicts for name, _ in verdict.failed))


def _effects(report: AuditReport) -> str:
    names = dict.fromkeys(check.name for check in report.checks)
    return "; ".join(f"{CHECK_TITLES[name]}, {_EFFECTS[name]}" for name in names)
