"""Printing to standard output, if it exists."""

import sys
from typing import Any


def console() -> Any:
    """Return standard output, or None if there is none, as in a windowed program."""
    out = sys.stdout
    return None if out is None or getattr(out, "closed", False) else out


def show(text: str) -> None:
    """Print a line to standard output without buffering."""
    out = console()
    if out is not None:
        print(text, file=out, flush=hasattr(out, "flush"))
