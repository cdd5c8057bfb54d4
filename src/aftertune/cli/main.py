"""Entry point: parse, call, print. Errors of the user are one line and exit code 2."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from typing import Any

from aftertune.errors import InputError

QUIET = {
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code (0 done, 1 policy, 2 input, 3 our fault, 130 stopped)."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"transformers\.")  # not the user's to mend
    import typer

    from aftertune.cli.app import app

    # typer carries its own copy of click, or uses click, by version
    usage_error: type[Exception] = typer.BadParameter.__bases__[0]
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        code = app(args=arguments or ["--help"], prog_name="aftertune", standalone_mode=False)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 2
    except InputError as error:
        return _refuse(str(error))
    except usage_error as error:
        return _refuse(_usage(error))
    except (KeyboardInterrupt, typer.Abort):
        return _stopped()
    except Exception:  # noqa: BLE001 - the last resort of a command line: say that it is our fault
        traceback.print_exc()
        print("aftertune: this is a fault of ours, not of your input; please report it", file=sys.stderr)
        return 3
    if code == STOPPED:
        return _stopped()
    return code if isinstance(code, int) else 0


STOPPED = 130


def _refuse(line: str) -> int:
    print(f"aftertune: {line}", file=sys.stderr)
    return 2


def _stopped() -> int:
    print("aftertune: stopped; the same command goes on from here", file=sys.stderr)
    return STOPPED


def _usage(error: Any) -> str:
    """What is wrong with the command line, and where its help is, in one line."""
    text = " ".join(error.format_message().split()).rstrip(".")
    path = "aftertune" if error.ctx is None else error.ctx.command_path
    return f"{text} (see {path} --help)"


def run() -> None:
    """Console script."""
    sys.exit(main())


if __name__ == "__main__":
    run()
