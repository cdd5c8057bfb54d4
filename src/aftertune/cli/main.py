"""Entry point: parse, call, print. Errors of the user are one line and exit code 2."""

from __future__ import annotations

import os
import sys
import traceback
import warnings

from aftertune.errors import InputError

QUIET = {
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code (0 done, 1 policy, 2 input, 3 our fault, 130 stopped)."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"transformers\.")  # not the user's to mend
    from aftertune.cli.app import app

    try:
        app(args=arguments, standalone_mode=True)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 2
    except InputError as error:
        print(f"aftertune: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("aftertune: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    except Exception:  # noqa: BLE001 - the last resort of a command line: say that it is our fault
        traceback.print_exc()
        print("aftertune: this is a fault of ours, not of your input; please report it", file=sys.stderr)
        return 3
    return 0


def run() -> None:
    """Console script."""
    sys.exit(main())


if __name__ == "__main__":
    run()
