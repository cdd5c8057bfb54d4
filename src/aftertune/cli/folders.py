"""`status`, `verify` and `gc`: what is printed of a run folder."""

from __future__ import annotations

from pathlib import Path

from aftertune.cli.progress import in_words
from aftertune.commands.folders import collect_garbage, status, verify


def show_status(run: Path) -> None:
    """Print how far a run is, and what is damaged."""
    found = status(run)
    manifest = found.manifest
    print(f"{run}: aftertune {manifest.command}, {found.state} ({manifest.updated})")
    if found.writer is not None:
        print(f"  written by {found.writer}")
    if found.doing:
        print(f"  now: {found.doing}")
    if manifest.checkpoints is not None and found.measured is not None:
        left = "" if found.left is None else f", about {in_words(found.left.total_seconds())} left"
        print(f"  {found.measured} of {manifest.checkpoints} checkpoints measured{left}")
    if manifest.records:
        print(f"  {len(manifest.records)} files of records, {len(manifest.files)} files in all")
    if manifest.error:
        print(f"  failed: {manifest.error}")
    for damage in found.damaged:
        print(f"  {damage.path} {damage.what}")
    if found.state not in ("finished", "running") or found.damaged:
        print(f"  next: give the same aftertune {manifest.command} command again; it resumes")


def show_verify(run: Path) -> int:
    """Print what is not as it was written; 1 where something is."""
    damaged = verify(run)
    for damage in damaged:
        print(f"{run / damage.path} {damage.what}")
    n = len(status(run).manifest.files) + 2  # run.json and its copy are not in their own list
    print(f"{run}: {n - len(damaged)} of {n} files are as they were written")
    return 1 if damaged else 0


def show_gc(run: Path, *, remove: bool) -> None:
    """Print the files that nothing needs, or remove them."""
    found = collect_garbage(run, remove=remove)
    for path, size in found:
        print(f"{path}  {size:,} bytes")
    total = f"{len(found)} file{'s' * (len(found) != 1)}, {sum(size for _, size in found) / 1e6:.1f} MB"
    if not found:
        print(f"{run}: nothing to remove")
    else:
        print(f"{run}: {total} removed" if remove else f"{run}: {total}; remove them with --delete")
