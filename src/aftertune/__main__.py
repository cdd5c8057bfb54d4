"""``python -m aftertune`` is the command line."""

from aftertune.cli.main import run

run()
