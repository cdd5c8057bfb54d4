"""`gate`, and --fail-on of the commands that measure: breaches on stderr, one line each, and the exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from aftertune.commands.gate import Finding, breaches, failing, gate, read_summary
from aftertune.commands.gate_files import append_summary, outcome, write_junit
from aftertune.errors import InputError
from aftertune.visible import visible


def show_gate(run: Path, policy: Path, *, junit: Path | None, github_summary: Path | None) -> int:
    """Print what breaks the policy, and write the files that are asked for; 1 where something does.

    Raises
    ------
    InputError
        Nothing can be checked; the files then say so.
    """
    findings, error = [], None
    try:
        findings = gate(run, policy)
    except InputError as found:
        error = found
    said = "" if error is None else str(error)
    with suppress(*([] if error is None else [InputError, OSError])):  # the first error is the one to mend first
        if junit is not None:
            write_junit(findings, str(run), junit, said)
        if github_summary is not None:
            append_summary(findings, str(run), github_summary, said)
    if error is not None:
        raise error
    code = _say(breaches(findings))
    coding = sys.stdout.encoding or "utf-8"  # of a terminal that may not know every letter
    print(visible(f"{run}: {outcome(findings)}").encode(coding, "backslashreplace").decode(coding))
    return code


def ended(out: Path, words: Sequence[str]) -> int:
    """The exit code of a command that has written a run folder, after the breaches of its --fail-on."""
    return _say(failing(read_summary(out)[0], words))


def _say(found: Sequence[Finding]) -> int:
    for finding in found:
        print(visible(f"breach: {finding}"), file=sys.stderr)
    return 1 if found else 0
