"""What the documentation site has besides the pages of docs/: mkdocs calls these hooks (mkdocs.yml).

Files elsewhere in the repository as pages; scores and commands as the code has them; notebooks run, with their
outputs; reports of the records in studies/results/. Links may lead to any file of the repository.
"""

from __future__ import annotations

import os
import posixpath
import re
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
REPOSITORY = "https://github.com/aftertune/aftertune/blob/main"
ELSEWHERE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "benchmarks.md",
}
"""File of the repository → page."""
EVIDENCE = {
    "greedy": ("the greedy output", "free with the answer"),
    "beams": ("beams", "a beam search"),
    "dropout": ("dropout samples", "3 more decodes"),
    "embedding": ("embeddings", "one more pass over the prompt"),
}
"""Part of the evidence → what it is, and what it costs."""
IN_NOTEBOOKS = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
"""Environment: tiny models are slower with several threads."""


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are no files of docs/."""
    from mkdocs.structure.files import File

    def add(name: str, content: str | bytes) -> None:
        files.append(File.generated(config, name, content=content))

    for source, page in ELSEWHERE.items():
        add(page, (ROOT / source).read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "studies").symlink_to(ROOT / "studies")
        for source in sorted((ROOT / "docs/notebooks").glob("*.py")):
            for name, content in notebook(source, Path(folder)).items():
                add(f"notebooks/{name}", content)
        for records in sorted((ROOT / "studies/results").glob("*.parquet")):
            add(f"reports/{records.stem}.html", report(records, Path(folder)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Fill marks, and make links to files of the repository links of the site, or to the repository."""
    for name, make in (("scores", scores), ("commands", commands)):
        if f"<!-- {name} -->\n" in markdown:
            markdown = markdown.replace(f"<!-- {name} -->\n", make())
    markdown = re.sub(r"<!-- file: (\S+) -->", lambda found: code_of(found[1]), markdown)
    source = {made: file for file, made in ELSEWHERE.items()}.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    parts = re.split(r"(^```.*?^```$)", markdown, flags=re.DOTALL | re.MULTILINE)
    for i in range(0, len(parts), 2):  # between blocks of code
        parts[i] = re.sub(r"\]\(([^)\s]+)\)", lambda found: f"]({link(found[1], source)})", parts[i])
    return "".join(parts)


def link(target: str, source: str) -> str:
    """The target of a link in the file `source`, both as in the repository, as the page of `source` has it."""
    path, mark, anchor = target.partition("#")
    if not path or re.match(r"[a-z]+:", path):
        return target
    file = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    page = ELSEWHERE.get(file, file.removeprefix("docs/") if file.startswith("docs/") else None)
    page = re.sub(r"^(notebooks/\w+)\.py$", r"\1.md", page) if page else None
    if page is not None:
        folder = posixpath.dirname(ELSEWHERE.get(source, source.removeprefix("docs/")))
        return posixpath.relpath(page, folder or ".") + mark + anchor
    return f"{REPOSITORY}/{file}{mark}{anchor}" if (ROOT / file).exists() else target


def code_of(file: str) -> str:
    """A file of the repository as a block of code."""
    return f"```{Path(file).suffix[1:]}\n{(ROOT / file).read_text(encoding='utf-8').strip()}\n```"


def scores() -> str:
    """The confidence scores as they are registered."""
    from aftertune.scores import SCORES

    entries = sorted(SCORES.items(), key=lambda entry: entry[1].needs != ("greedy",))  # the free ones first

    def lines() -> Iterator[str]:
        yield "| score | cost beside the answer | when to use it |\n|---|---|---|"
        for name, entry in entries:
            dear = [part for part in entry.needs if part != "greedy"] or ["greedy"]
            cost = " and ".join(EVIDENCE[part][1] for part in dear)
            yield f"| [`{name}`](#{name}) | {cost} | {entry.when} |"
        for name, entry in entries:
            yield f"\n## {name}\n"
            yield f"```text\n{entry.formula}\n```\n"
            said = (entry.function.__doc__ or "").strip().partition("\n\n")[0]
            yield " ".join(said.split()) + "\n"
            yield f"- Needs {' and '.join(EVIDENCE[part][0] for part in entry.needs)}."
            yield f"- Source: {entry.source}. In the paper: {entry.paper_name}."
            if entry.defaults:
                example = ", ".join(f"`{key}` (default {value})" for key, value in entry.defaults.items())
                yield f"- Parameters: {example}."
        yield ""

    return "\n".join(lines())


def commands() -> str:
    """What --help says of each command, by typer's own writer."""
    import typer.main
    from typer.cli import get_docs_for_click

    from aftertune.cli.main import app

    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command, info_name="aftertune"), name="aftertune")
    text = text.partition("## `aftertune quickstart`")

    def example(found: re.Match[str]) -> str:
        shown, _, more = found[1].partition("; ")
        return f"Example{f' ({more})' if more else ''}:\n\n```sh\n{shown}\n```"

    return re.sub(r"^Example: (.*)$", example, text[1] + text[2], flags=re.MULTILINE)


def notebook(source: Path, folder: Path) -> dict[str, str | bytes]:
    """Run a notebook in `folder`; its page, its pictures, and itself without outputs, by file name."""
    import jupytext
    import nbformat
    from nbclient import NotebookClient
    from nbconvert import MarkdownExporter

    made = jupytext.read(source)
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    plain = nbformat.writes(made)
    if os.environ.get("NOTEBOOKS") != "skip":
        client = NotebookClient(made, timeout=600, resources={"metadata": {"path": str(folder)}})
        client.execute(env=os.environ | IN_NOTEBOOKS)
    for cell in made.cells:
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if not is_progress(output)]
            for output in cell.outputs:
                if "text" in output:
                    output["text"] = "\n".join(textwrap.fill(line, 96) for line in output["text"].splitlines())
    exporter = MarkdownExporter()
    resources = {"output_files_dir": f"{source.stem}_files", "unique_key": source.stem}
    page, found = exporter.from_notebook_node(made, resources)
    page = re.sub(r"<style scoped>.*?</style>", "", page, flags=re.DOTALL)
    page = page.replace('<table border="1" class="dataframe">', "<table>")
    page += f"\n\n[This page as a notebook]({source.stem}.ipynb)\n"
    return {f"{source.stem}.md": page, f"{source.stem}.ipynb": plain, **found["outputs"]}


def is_progress(output: Any) -> bool:
    """Whether an output of a cell is a progress bar: as text, or as HTML."""
    return output.get("name") == "stderr" or "<progress" in output.get("data", {}).get("text/html", "")


def report(records: Path, folder: Path) -> bytes:
    """The page that `aftertune analyze` makes of records."""
    import aftertune

    return aftertune.analyze(os.path.relpath(records), out=folder / records.stem).report.read_bytes()
