"""``python -m aftertune`` is the command line."""

from aftertune.cli.main import run

if __name__ == "__main__":
    run()
