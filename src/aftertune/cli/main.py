"""The command line: its commands, and what becomes of errors.

Heavy modules are imported where they are used, so that --help is quick.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from aftertune.arguments import check
from aftertune.errors import LONGEST, InputError, shortened, shown
from aftertune.options import DEFAULTS, FEWEST_RESAMPLES, PLANNED, AuditOptions
from aftertune.visible import visible

QUIET = {
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
}
STOPPED, TERMINATED = 130, 143

_OF_THE_MACHINE = {
    "ENOSPC": "the disk is full: free some space",
    "EDQUOT": "your quota of disk space is used up: free some space",
    "EFBIG": "the file would be larger than is allowed here: raise the limit (ulimit -f)",
    "EROFS": "it is read-only there: give another folder with --out",
    "EACCES": "you may not: change its permissions, or give another folder with --out",
    "EPERM": "you may not: change its permissions, or give another folder with --out",
    "ENOENT": "it was there before and is gone: put it back, or begin in another folder",
    "ESTALE": "it was there before and is gone: put it back, or begin in another folder",
    "ENAMETOOLONG": "the name is too long for a file: shorten the names of models, tasks, or folders",
    "EIO": "the disk does not answer: look at it",
    "EMFILE": "too many files are open: raise the limit (ulimit -n)",
    "ENODEV": "it cannot hold files: give another folder with --out",
    "ENOTDIR": "a file is where a folder is wanted: give another folder with --out",
    "EISDIR": "a folder is where a file is wanted: remove it",
}
"""Errors of files that a person can mend: name → what to do, after what could not be read or written."""

app = typer.Typer(
    help="Does your confidence score survive fine-tuning?",
    epilog="Start with: aftertune quickstart",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Out = Annotated[Path, typer.Option("--out", "-o", help="Run folder; the same command again resumes it.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, …; by default CUDA where there is one.")]
Trust = Annotated[bool, typer.Option("--trust-remote-code", help="Run code that comes with the model.")]
Margin = Annotated[
    float, typer.Option(min=0.0, help="A smaller fall of the tie-adjusted rho than this counts as holding.")
]
Resamples = Annotated[int, typer.Option(min=FEWEST_RESAMPLES, help="Draws behind simultaneous intervals.")]
FailOn = Annotated[
    str | None,
    typer.Option(
        metavar="WORDS",
        help="Exit with 1 on any of these, as in degraded,fell: a verdict, reversed, warning, not-usable.",
    ),
]


RelyOn = Annotated[
    str | None, typer.Option(help="The score that you rely on: the report answers first whether it still holds.")
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Print every finding, table and sentence, not 30 lines.")
]
OpenPage = Annotated[bool, typer.Option("--open", help="Open the page in a browser in the end.")]

Paper = Annotated[
    bool,
    typer.Option(
        "--paper", help="Add the paper's Tables 1 to 12 and claims beside these numbers (docs/paper.md)."
    ),
]


def _version(asked: bool) -> None:
    if asked:
        from aftertune._version import __version__

        typer.echo(f"aftertune {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Does your confidence score survive fine-tuning?"""


@app.command(epilog="Example: aftertune quickstart --fast --out runs/first")
def quickstart(
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Run folder; default runs/quickstart, or runs/quickstart-fast."),
    ] = None,
    fast: Annotated[bool, typer.Option("--fast", help="One model and task, fewer epochs: under 30 s.")] = False,
    verbose: Verbose = False,
    open_page: OpenPage = False,
    fail_on: FailOn = None,
) -> int:
    """See it work with nothing but the package: its own tasks and tiny models, no download."""
    words = _words(fail_on)
    from aftertune.cli.progress import show_result, with_progress
    from aftertune.commands.run import quickstart as go

    folder = out or Path("runs/quickstart-fast" if fast else "runs/quickstart")
    result = with_progress(partial(go, out=folder, fast=fast))
    show_result(result, verbose=verbose, open_page=open_page)
    return _ended(folder, words)


@app.command(
    epilog="Example: aftertune audit ./base ./fine-tuned --data test.jsonl --input question "
    "--target answer --template 'Question: {question} Answer:' --quality token_f1 "
    "--judge token_f1:0.5 --validation validation.jsonl"
)
def audit(
    before: Annotated[
        str, typer.Argument(help="The model before fine-tuning: a folder, a hub id, embedded:NAME.")
    ],
    after: Annotated[
        list[str],
        typer.Argument(
            help="One or more fine-tuned checkpoints; adapter folders count. NAME=PATH names the fine-tuning."
        ),
    ],
    task: Annotated[str | None, typer.Option(help="A task by name: see `aftertune list tasks`.")] = None,
    data: Annotated[Path | None, typer.Option(help="Or your own test set: .jsonl, .csv, .tsv, .parquet.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder with TASK/test.jsonl, instead of the hub.")] = None,
    data_seed: Annotated[int, typer.Option(help="Seed of the order of a task's items.")] = DEFAULTS.data_seed,
    input: Annotated[str, typer.Option(help="Column of the input, for --data.")] = DEFAULTS.input,
    target: Annotated[
        str, typer.Option(help="Column of the answer or list of answers, for --data.")
    ] = DEFAULTS.target,
    template: Annotated[
        str | None, typer.Option(help="Prompt, e.g. 'Question: {question} Answer:', instead of the task's.")
    ] = None,
    allow_target_in_template: Annotated[
        bool, typer.Option("--allow-target-in-template", help="Allow prompts that hold the target column.")
    ] = DEFAULTS.allow_target_in_template,
    quality: Annotated[str | None, typer.Option(help="Metric for --data: see `aftertune list quality`.")] = None,
    items: Annotated[int | None, typer.Option(help="At most this many test items.")] = None,
    judge: Annotated[
        str,
        typer.Option(
            help="Says what is correct: none, rule, METRIC:T, anthropic:MODEL, openai:MODEL@URL, local:PATH."
        ),
    ] = DEFAULTS.judge,
    judge_concurrency: Annotated[
        int, typer.Option(min=1, help="Requests to a judge's API under way at once, at most.")
    ] = DEFAULTS.judge_concurrency,
    validation: Annotated[
        str | None, typer.Option(help="Items to fit percentages on: a file like --data.")
    ] = None,
    train: Annotated[
        str | None, typer.Option(help="Training items, for similarity to them: a file like --data; task: its own.")
    ] = None,
    max_new_tokens: Annotated[
        int | None, typer.Option(help="Longest answer in tokens; by default the task's.")
    ] = None,
    dropout: Annotated[
        str,
        typer.Option(
            help="auto (the model's own, or as strong as suits it), native, attention:P, residual:P, lora; none "
            "for no dropout scores."
        ),
    ] = DEFAULTS.dropout,
    beams: Annotated[int, typer.Option(min=0, help="Beams; 0 for none.")] = DEFAULTS.beams,
    dropout_samples: Annotated[
        int, typer.Option(min=0, help="Dropout decodes; 0 for none.")
    ] = DEFAULTS.dropout_samples,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Prompts decoded at once; by default as many as memory holds.")
    ] = None,
    long_prompts: Annotated[
        str, typer.Option(help="Prompts beyond the context: error, truncate or drop.")
    ] = DEFAULTS.long_prompts,
    chat: Annotated[str, typer.Option(help="Chat template: auto, on or off.")] = DEFAULTS.chat,
    scores: Annotated[list[str] | None, typer.Option("--score", help="Only this score; may be repeated.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the model in tables.")] = None,
    allow_other_base: Annotated[
        bool,
        typer.Option("--allow-other-base", help="Allow an adapter that was trained on another model than BEFORE."),
    ] = DEFAULTS.allow_other_base,
    seed: Annotated[int, typer.Option(help="Seed of the dropout masks.")] = DEFAULTS.seed,
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16.")] = DEFAULTS.dtype,
    device: Device = None,
    trust_remote_code: Trust = DEFAULTS.trust_remote_code,
    margin: Margin = DEFAULTS.margin,
    resamples: Resamples = DEFAULTS.resamples,
    verbose: Verbose = False,
    open_page: OpenPage = False,
    fail_on: FailOn = None,
    rely_on: RelyOn = DEFAULTS.rely_on,
    out: Out = Path("runs/audit"),
) -> int:
    """Which scores can still be trusted? Two or more checkpoints, one test set, a verdict for each score."""
    given: dict[str, Any] = locals() | {"scores": scores or None}
    options = AuditOptions(**{f.name: given[f.name] for f in fields(AuditOptions) if f.name in given})
    words = _words(fail_on)
    from aftertune.cli.progress import show_result, with_progress
    from aftertune.commands.audit import audit as go

    result = with_progress(partial(go, before, after, task=task, data=data, out=out, options=options))
    show_result(result, verbose=verbose, open_page=open_page)
    return _ended(out, words)


@app.command(
    name="run", epilog="Example: aftertune run studies/local.yaml --out runs/local; add --dry-run to see the plan"
)
def run_(
    study: Annotated[Path, typer.Argument(help="Study file (YAML): models × tasks × seeds.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run folder; default: runs/ and the name of the study.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan and what would be used again, and do nothing.")
    ] = False,
    verbose: Verbose = False,
    open_page: OpenPage = False,
    fail_on: FailOn = None,
    device: Device = None,
    trust_remote_code: Trust = False,
) -> int:
    """Fine-tune and track: models × tasks × seeds, with early stopping, by epoch, by number of training items."""
    words = _words(fail_on)
    from aftertune.study.config import read_study

    config = read_study(check("study", study, Path))
    if out is None and (config.name in (".", "..") or Path(config.name).name != config.name):
        raise InputError(f"name is {shown(config.name)}, which is a path: name the folder with --out", file=study)
    folder = check("out", out or Path("runs") / config.name, Path)
    if dry_run:
        from aftertune.cli.plan import show_plan

        show_plan(config, folder)
        return 0
    from aftertune.cli.progress import show_result, with_progress
    from aftertune.commands.run import run as go

    work = partial(go, study, out=folder, device=device, trust_remote_code=trust_remote_code)
    show_result(with_progress(work), verbose=verbose, open_page=open_page)
    return _ended(folder, words)


@app.command(epilog="Example: aftertune analyze records.jsonl --out analysis")
def analyze(
    records: Annotated[list[Path], typer.Argument(help="Records: .jsonl, .parquet, or a folder of them.")],
    out: Out = Path("runs/analysis"),
    margin: Margin = DEFAULTS.margin,
    resamples: Resamples = DEFAULTS.resamples,
    seed: Annotated[int, typer.Option(help="Seed of all draws.")] = 0,
    permutation: Annotated[
        bool, typer.Option("--permutation", help="Add a label-swap permutation test, as a cross-check.")
    ] = False,
    correct_at: Annotated[
        float | None, typer.Option(help="Quality from which an answer is correct, where records do not say.")
    ] = None,
    negate: Annotated[
        list[str] | None, typer.Option("--negate", help="This score measures uncertainty; may be repeated.")
    ] = None,
    allow_other_items: Annotated[
        bool, typer.Option("--allow-other-items", help="Go on where two checkpoints have no item in common.")
    ] = False,
    rely_on: RelyOn = DEFAULTS.rely_on,
    paper: Paper = False,
    verbose: Verbose = False,
    open_page: OpenPage = False,
    fail_on: FailOn = None,
) -> int:
    """Records that another pipeline wrote: tables, figures and a report. No model is loaded."""
    words = _words(fail_on)
    from aftertune.cli.progress import show_result
    from aftertune.commands.analyze import analyze as go

    result = go(
        records,
        out=out,
        margin=margin,
        resamples=resamples,
        seed=seed,
        permutation=permutation,
        correct_at=correct_at,
        negate=negate or (),
        allow_other_items=allow_other_items,
        rely_on=rely_on,
        paper=paper,
    )
    show_result(result, verbose=verbose, open_page=open_page)
    return _ended(out, words)


@app.command(
    epilog="Example: aftertune plan --items 500 --seeds 3 --quality binary:0.8; or --like runs/quickstart"
)
def plan(
    like: Annotated[
        list[Path] | None, typer.Option(help="Run folder or records: what is not given here is taken from there.")
    ] = None,
    items: Annotated[int | None, typer.Option(help=f"Test items; {PLANNED.items} unless a run says.")] = None,
    seeds: Annotated[int | None, typer.Option(help=f"Training runs; {PLANNED.seeds} unless a run says.")] = None,
    expected: Annotated[
        float | None, typer.Option(help=f"Tie-adjusted rho before fine-tuning; else {PLANNED.rho}.")
    ] = None,
    stability: Annotated[
        float | None,
        typer.Option(help=f"Share of item noise that two checkpoints share, 0–1; else {PLANNED.stability}."),
    ] = None,
    spread: Annotated[
        float | None, typer.Option(help=f"Standard deviation of rho over training runs; else {PLANNED.spread}.")
    ] = None,
    quality: Annotated[
        str | None,
        typer.Option(
            help=f"binary:ACC (the share of right answers), graded or continuous; else {PLANNED.quality}."
        ),
    ] = None,
    scores: Annotated[
        int | None, typer.Option(help="Scores that are judged together; else all. 1: one named beforehand.")
    ] = None,
    margin: Margin = DEFAULTS.margin,
    changes: Annotated[
        list[float] | None, typer.Option("--change", help="A true change of rho; may be repeated.")
    ] = None,
) -> None:
    """Before anything is run: the chance of each verdict, and the items and training runs that settle it."""
    given: dict[str, Any] = locals() | {"like": like or None, "changes": changes or None}
    from aftertune.cli.planning import show_plans
    from aftertune.commands.planning import plan as go

    show_plans(go(**given))


@app.command(epilog="Example: aftertune report runs/quickstart; add --paper to see it beside the paper")
def report(
    run: Annotated[Path, typer.Argument(help="A run folder that holds records.")],
    paper: Paper = False,
    verbose: Verbose = False,
    open_page: OpenPage = False,
    fail_on: FailOn = None,
) -> int:
    """Redraw tables, figures and report.html from the records of a run."""
    words = _words(fail_on)
    from aftertune.cli.progress import Printed, show_result
    from aftertune.commands.analyze import redraw

    show_result(redraw(run, paper=paper, reporter=Printed()), verbose=verbose, open_page=open_page)
    return _ended(run, words)


@app.command(epilog="Example: aftertune gate runs/local --policy policy.yaml --junit gate.xml")
def gate(
    run: Annotated[Path, typer.Argument(help="A run folder, or its summary.json.")],
    policy: Annotated[Path, typer.Option(help="Rules (YAML): docs/gate.md.")],
    junit: Annotated[Path | None, typer.Option(help="Write the outcome as JUnit XML, too.")] = None,
    github_summary: Annotated[
        Path | None, typer.Option(help='Add it as a table to this Markdown file, as in "$GITHUB_STEP_SUMMARY".')
    ] = None,
) -> int:
    """Does a run keep to a policy? Exit code 1, with a line for each breach, where it does not."""
    from aftertune.cli.gate import show_gate

    return show_gate(
        check("run", run, Path),
        check("policy", policy, Path),
        junit=check("junit", junit, Path | None),
        github_summary=check("github_summary", github_summary, Path | None),
    )


def _words(fail_on: str | None) -> tuple[str, ...]:
    """The words of --fail-on, checked before anything is measured."""
    if fail_on is None:
        return ()
    from aftertune.commands.gate import words_of

    return words_of(fail_on)


def _ended(out: Path, words: Sequence[str]) -> int:
    """The exit code of a command that has written a run folder."""
    if not words:
        return 0
    from aftertune.cli.gate import ended

    return ended(out, words)


RunArgument = Annotated[Path, typer.Argument(help="Run folder.")]


@app.command(epilog="Example: aftertune status runs/local")
def status(run: RunArgument) -> None:
    """How far a run is: measured, running, failed, missing, and the time left. Works while it runs."""
    from aftertune.cli.folders import show_status

    show_status(run)


@app.command(epilog="Example: aftertune verify runs/local")
def verify(run: RunArgument) -> int:
    """Read every file of a run: is it what was written? Exit code 1 where one is not."""
    from aftertune.cli.folders import show_verify

    return show_verify(run)


@app.command(epilog="Example: aftertune gc runs/local; add --delete to remove what it lists")
def gc(
    run: RunArgument,
    delete: Annotated[bool, typer.Option("--delete", help="Remove what is listed.")] = False,
) -> None:
    """List files of a finished run that nothing needs: of other settings, or damaged and set aside."""
    from aftertune.cli.folders import show_gc

    show_gc(run, remove=delete)


@app.command(name="list", epilog="Example: aftertune list scores")
def list_(
    what: Annotated[str, typer.Argument(help="scores, tasks, quality or models.")],
) -> None:
    """What there is, with formula, source and what each needs."""
    from aftertune.cli.listing import show_list

    show_list(what)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    0 done; 1 a file is damaged (verify), or a rule is broken (gate, --fail-on); 2 wrong input, or a machine that
    is full or forbids; 3 a fault of ours; 130 stopped by Ctrl-C, 143 by SIGTERM.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"transformers\.")  # not the user's to mend
    # typer carries its own copy of click, or uses click, by version
    usage_error: type[Exception] = typer.BadParameter.__bases__[0]
    arguments = sys.argv[1:] if arguments is None else arguments
    warnings.formatwarning = _warning
    Terminated.came = False
    try:
        _refuse_empty(arguments)
        code = app(args=arguments or ["--help"], prog_name="aftertune", standalone_mode=False)
    except InputError as error:
        return _refuse(str(error))
    except usage_error as error:
        return _refuse(_one_line(error))
    except (KeyboardInterrupt, typer.Abort) as error:
        # click makes an EOFError, such as of half a file, look like Ctrl-C
        return _fault() if isinstance(error.__cause__, EOFError) else _stopped()
    except Exception as error:  # noqa: BLE001 - the last resort of a command line: say that it is our fault
        line = _of_the_machine(error)
        return _fault() if line is None else _refuse(f"{line}; the same command then resumes")
    if code == STOPPED:
        return _stopped()
    return code if isinstance(code, int) else 0


class Terminated(KeyboardInterrupt):
    """SIGTERM came: stop as at Ctrl-C. Typer makes an exit code of it, so that the class keeps that it came."""

    came = False

    def __init__(self) -> None:
        Terminated.came = True


def _terminate(number: int, frame: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # once is enough
    raise Terminated


_NO_MEMORY = re.compile(
    "can't allocate memory|cannot allocate memory|failed to map segment|can't start new thread|bad_alloc", re.I
)
_NO_SPACE = re.compile("No space left on device|PytorchStreamWriter failed|file write failed|unexpected pos")
"""What libraries say in words only."""


def _of_the_machine(error: BaseException) -> str | None:
    """One line for a full disk, a folder that forbids, a lack of memory; None for anything else."""
    said, one = [], error
    while one is not None and len(said) < 20:
        said.append(f"{type(one).__name__}: {one}")
        one = one.__cause__ or one.__context__
    if isinstance(error, MemoryError) or "OutOfMemoryError" in said[0] or any(map(_NO_MEMORY.search, said)):
        return "there is not enough memory: use a smaller --batch-size, fewer items, or a larger machine"
    number, place = getattr(error, "errno", None), getattr(error, "filename", None)
    if (found := re.search(r"\bos error (\d+)\b", said[0])) is not None:
        number = int(found[1])
    if number is None and _NO_SPACE.search(said[0]):
        number = errno.ENOSPC
    what = _OF_THE_MACHINE.get(errno.errorcode.get(number or 0, ""))
    return None if what is None else f"{place or 'a file'}: {what}"


def _fault() -> int:
    print(visible(traceback.format_exc(), keep="\n\t"), end="", file=sys.stderr)
    print("aftertune: this is a fault of ours, not of your input; please report it", file=sys.stderr)
    return 3


def _refuse(line: str) -> int:
    print(f"aftertune: {visible(line)}", file=sys.stderr)
    return 2


def _stopped() -> int:
    print("aftertune: stopped; the same command goes on from here", file=sys.stderr)
    return TERMINATED if Terminated.came else STOPPED


def _one_line(error: Any) -> str:
    """What is wrong with the command line, and which help to read."""
    text = " ".join(error.format_message().split()).rstrip(".")
    path = "aftertune" if error.ctx is None else error.ctx.command_path
    see = f" (see {path} --help)"
    return shortened(text, LONGEST - len(see)) + see


def _refuse_empty(arguments: Sequence[str]) -> None:
    """An empty text is what a shell makes of a variable that is not set; as a path it would be the folder here."""
    for before, one in zip([None, *arguments], arguments):
        name, equals, value = one.partition("=") if one.startswith("--") else (before or "an argument", "=", one)
        if equals and not value.strip():
            raise InputError(f"{name} is followed by an empty text: write a value, or leave it away")


_formatted = warnings.formatwarning


def _warning(message: Any, category: type[Warning], *where: Any) -> str:
    """Warnings on plug-ins as notes; others as Python writes them."""
    ours = category.__name__ == "PlugInWarning"
    return f"note: {message}\n" if ours else _formatted(message, category, *where)


def run() -> None:
    """The console script."""
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(main())
