"""The commands. Everything heavy is imported where it is used, so that --help is quick."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Does your confidence score survive fine-tuning?",
    epilog="Start with: aftertune quickstart",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Out = Annotated[Path, typer.Option("--out", "-o", help="Run folder; the same one again goes on.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, …; CUDA where there is one.")]
Trust = Annotated[bool, typer.Option("--trust-remote-code", help="Run code that comes with the model.")]
Margin = Annotated[float, typer.Option(min=0.0, help="A smaller fall of rho than this counts as holding.")]
Resamples = Annotated[int, typer.Option(min=200, help="Bootstrap resamples of the test items.")]


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
) -> None:
    """See it work with nothing but the package: embedded tasks and tiny models, no download."""
    from aftertune.cli.show import show_result, with_progress
    from aftertune.study.quickstart import quickstart as go

    folder = out or Path("runs/quickstart-fast" if fast else "runs/quickstart")
    show_result(with_progress(lambda reporter: go(out=folder, fast=fast, reporter=reporter)))


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
    input: Annotated[str, typer.Option(help="Column of the input, for --data.")] = "input",
    target: Annotated[str, typer.Option(help="Column of the answer or list of answers, for --data.")] = "target",
    template: Annotated[
        str | None, typer.Option(help="Prompt, e.g. 'Question: {question} Answer:', instead of the task's.")
    ] = None,
    quality: Annotated[str | None, typer.Option(help="Metric for --data: see `aftertune list quality`.")] = None,
    items: Annotated[int | None, typer.Option(help="At most so many test items.")] = None,
    judge: Annotated[
        str,
        typer.Option(
            help="Says what is correct: none, rule, METRIC:T, anthropic:MODEL, openai:MODEL@URL, local:PATH."
        ),
    ] = "auto",
    judge_concurrency: Annotated[
        int, typer.Option(min=1, help="Requests to a judge's API under way at once, at most.")
    ] = 4,
    validation: Annotated[
        str | None, typer.Option(help="Items to fit percentages on: a file like --data.")
    ] = None,
    train: Annotated[
        str | None, typer.Option(help="Training items, for similarity to them: a file like --data; task: its own.")
    ] = None,
    max_new_tokens: Annotated[int | None, typer.Option(help="Longest answer; the task's own by default.")] = None,
    dropout: Annotated[
        str,
        typer.Option(
            help="auto (the model's own, or as strong as suits it), native, attention:P, residual:P, lora; none "
            "for no dropout scores."
        ),
    ] = "auto",
    beams: Annotated[int, typer.Option(min=0, help="Beams; 0 for none.")] = 10,
    dropout_samples: Annotated[int, typer.Option(min=0, help="Dropout decodes; 0 for none.")] = 3,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Prompts decoded at once; by default as many as memory holds.")
    ] = None,
    long_prompts: Annotated[str, typer.Option(help="Beyond the context: error, truncate or drop.")] = "error",
    chat: Annotated[str, typer.Option(help="Chat template: auto, on or off.")] = "auto",
    score: Annotated[list[str] | None, typer.Option(help="Only this score; may be repeated.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the model in tables.")] = None,
    allow_other_base: Annotated[
        bool, typer.Option("--allow-other-base", help="An adapter of another model than BEFORE may be compared.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the dropout masks.")] = 0,
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16.")] = "float32",
    device: Device = None,
    trust_remote_code: Trust = False,
    margin: Margin = 0.05,
    resamples: Resamples = 2000,
    out: Out = Path("runs/audit"),
) -> None:
    """Which scores can still be trusted? Two or more checkpoints, one test set, a verdict per score."""
    from aftertune.cli.show import show_result, with_progress
    from aftertune.study.audit import AuditOptions
    from aftertune.study.audit import audit as go

    options = AuditOptions(
        items=items,
        judge=judge,
        judge_concurrency=judge_concurrency,
        validation=validation,
        train=train,
        data_dir=data_dir,
        input=input,
        target=target,
        template=template,
        quality=quality,
        max_new_tokens=max_new_tokens,
        name=name,
        allow_other_base=allow_other_base,
        beams=beams,
        dropout_samples=dropout_samples,
        dropout=dropout,
        batch_size=batch_size,
        chat=chat,
        long_prompts=long_prompts,
        scores=score or None,
        seed=seed,
        dtype=dtype,
        device=device,
        trust_remote_code=trust_remote_code,
        margin=margin,
        resamples=resamples,
    )
    show_result(
        with_progress(
            lambda reporter: go(before, after, task=task, data=data, out=out, options=options, reporter=reporter)
        )
    )


@app.command(epilog="Example: aftertune run studies/local.yaml --out runs/local; add --dry-run to see the plan")
def run(
    study: Annotated[Path, typer.Argument(help="Study file (YAML): models × tasks × seeds.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run folder; default: runs/ and the name of the study.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan and what would be re-used, and do nothing.")
    ] = False,
    device: Device = None,
    trust_remote_code: Trust = False,
) -> None:
    """Fine-tune and track: models × tasks × seeds, with early stopping, by epoch, by number of training items."""
    from aftertune.study.config import read_study

    config = read_study(study)
    folder = out or Path("runs") / config.name
    if dry_run:
        from aftertune.cli.plan import show_plan

        show_plan(config, folder)
        return
    from aftertune.cli.show import show_result, with_progress
    from aftertune.study.run import run as go

    show_result(
        with_progress(
            lambda reporter: go(
                config, out=folder, reporter=reporter, device=device, trust_remote_code=trust_remote_code
            )
        )
    )


@app.command(epilog="Example: aftertune analyze records.jsonl --out analysis")
def analyze(
    records: Annotated[list[Path], typer.Argument(help="Records: .jsonl, .parquet, or a folder of them.")],
    out: Out = Path("runs/analysis"),
    margin: Margin = 0.05,
    resamples: Resamples = 2000,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
    permutation: Annotated[
        bool, typer.Option("--permutation", help="Cross-check the bootstrap with a label-swap permutation test.")
    ] = False,
    correct_at: Annotated[
        float | None, typer.Option(help="Quality from which an answer is correct, where records do not say.")
    ] = None,
) -> None:
    """Records that another pipeline wrote: tables, figures and a report. No model is loaded."""
    from aftertune.cli.show import show_result
    from aftertune.study.analyze import analyze as go

    show_result(
        go(
            records,
            out=out,
            margin=margin,
            resamples=resamples,
            seed=seed,
            permutation=permutation,
            correct_at=correct_at,
        )
    )


@app.command(epilog="Example: aftertune report runs/quickstart")
def report(
    run: Annotated[Path, typer.Argument(help="A run folder that holds records.")],
) -> None:
    """Redraw tables, figures and report.html from the records of a run."""
    from aftertune.cli.show import show_result
    from aftertune.study.analyze import redraw

    show_result(redraw(run))


@app.command(name="list", epilog="Example: aftertune list scores")
def list_(
    what: Annotated[str, typer.Argument(help="scores, tasks, quality or models.")],
) -> None:
    """What there is, with formula, source and what each needs."""
    from aftertune.cli.listing import show_list

    show_list(what)
