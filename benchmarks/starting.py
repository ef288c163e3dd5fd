"""How long the program takes to say anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import ARCHC, alternate, python

ABOUT = "Against `python -c pass`; medians of fifteen. Takes half a minute."


def table(folder: Path) -> Iterator[str]:
    yield "| command | ms | python -c pass, ms | more, ms | more CPU, ms |"
    yield "|---|---|---|---|---|"
    for arguments in (["--help"], ["check", "--help"], ["build", "--help"]):
        pair = alternate([*ARCHC, *arguments], python("pass"), rounds=15)
        ours, peer = pair.ours, pair.peer
        yield (
            f"| archc {' '.join(arguments)} | {ours.seconds * 1e3:.0f} | {peer.seconds * 1e3:.0f} "
            f"| {(ours.seconds - peer.seconds) * 1e3:.0f} | {(ours.cpu - peer.cpu) * 1e3:.0f} |"
        )
