"""What a gate writes for other programs: JUnit XML, and the summary of a job on GitHub."""

from __future__ import annotations

import html
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

from aftertune.commands.gate import Finding, breaches
from aftertune.errors import InputError
from aftertune.files.atomic import atomic_write_text
from aftertune.report.numbers import count
from aftertune.visible import visible

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold."""
MOST_BYTES = 500_000
"""Of what is added to a summary: GitHub takes 1 MiB for a step, and then shows nothing."""


def junit(findings: Sequence[Finding], run: str, error: str = "") -> str:
    """A test suite, with a case for each rule and subject: passed, failed, or skipped where it was passed over.

    Jenkins, GitLab and the actions of GitHub read this form; Jenkins keeps one failure of a test case.

    Parameters
    ----------
    error : why nothing could be checked, a case of its own.
    """
    failed = len(breaches(findings))
    skipped = sum(finding.state == "passed over" for finding in findings)
    n_errors = int(bool(error))
    counts = {"tests": str(len(findings) + n_errors), "failures": str(failed), "errors": str(n_errors)}
    root = ElementTree.Element("testsuites", {"name": "aftertune gate", **counts})
    suite = ElementTree.SubElement(
        root, "testsuite", {"name": _text(run), **counts, "skipped": str(skipped), "time": "0"}
    )
    if error:
        case = ElementTree.SubElement(
            suite, "testcase", {"classname": "gate", "name": "can be checked", "time": "0"}
        )
        ElementTree.SubElement(case, "error", {"message": _text(error), "type": "input"})
    for finding in findings:
        names = {"classname": _text(finding.rule), "name": _text(finding.subject or finding.rule), "time": "0"}
        case = ElementTree.SubElement(suite, "testcase", names)
        if finding.state == "breach":
            failure = {"message": _text(finding.value), "type": "breach"}
            ElementTree.SubElement(case, "failure", failure).text = _text(str(finding))
        elif finding.state == "passed over":
            ElementTree.SubElement(case, "skipped", {"message": _text(finding.value)})
    ElementTree.indent(root, " ")
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=False) + "\n"


def _text(text: str) -> str:
    return _NO_XML.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", visible(" ".join(text.split())))


def github_summary(findings: Sequence[Finding], run: str, error: str = "") -> str:
    """A heading and a table, breaches first; as HTML, in which texts from outside stand as code.

    In a block of HTML nothing is Markdown, and GitHub makes no mentions, references or links of what is code.

    Parameters
    ----------
    error : why nothing could be checked, in place of the table.
    """
    if error:
        return f"### aftertune gate failed: nothing was checked\n\n<p>{_code(run)}</p>\n<p>{_code(error)}</p>\n\n"
    verdict = "failed" if breaches(findings) else "passed"
    order = ("breach", "passed over", "passes")
    rows = sorted(findings, key=lambda finding: order.index(finding.state))
    header = "".join(f"<th>{name}</th>" for name in ("", "rule", "of", "found", "wanted"))
    parts = [
        f"### aftertune gate {verdict}: {outcome(findings)}\n\n<p>{_code(run)}</p>\n<table>\n<tr>{header}</tr>\n"
    ]
    size = 0
    for i, one in enumerate(rows):
        mark = {"breach": "❌", "passed over": "➖", "passes": "✅"}[one.state]
        cells = [mark, *map(_code, (one.rule, one.subject, one.value, one.limit))]
        row = "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>\n"
        size += len(row.encode())
        if size > MOST_BYTES:
            parts.append(f'<tr><td colspan="5">{count(len(rows) - i, "more line")}</td></tr>\n')
            break
        parts.append(row)
    return "".join([*parts, "</table>\n\n"])


def _code(text: str) -> str:
    return f"<code>{html.escape(_text(text))}</code>" if text else ""


def outcome(findings: Sequence[Finding]) -> str:
    """How many rules pass, in words."""
    rules = dict.fromkeys(finding.rule for finding in findings)
    broken = {finding.rule for finding in breaches(findings)}
    over = sum(finding.state == "passed over" for finding in findings)
    verb = "passes" if len(rules) == 1 else "pass"
    said = f"{len(rules) - len(broken)} of {count(len(rules), 'rule')} {verb} ({count(len(findings), 'value')}"
    return said + (f", {over} undefined and passed over)" if over else ")")


def write_junit(findings: Sequence[Finding], run: str, path: Path, error: str = "") -> None:
    """Write the JUnit file, whole or not at all."""
    atomic_write_text(path, '<?xml version="1.0" encoding="UTF-8"?>\n' + junit(findings, run, error))


def append_summary(findings: Sequence[Finding], run: str, path: Path, error: str = "") -> None:
    """Add to a Markdown file, which need not exist.

    Raises
    ------
    InputError
        It is a folder, or its folder does not exist.
    """
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise InputError("cannot be written: give a file in a folder that exists (--github-summary)", file=path)
    with path.open("a", encoding="utf-8") as file:
        file.write(github_summary(findings, run, error))
