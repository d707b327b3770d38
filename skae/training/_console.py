"""Standard output, where there is one."""

import sys
from typing import Any


def console() -> Any:
    """Give standard output; None where there is none, as in a windowed program."""
    out = sys.stdout
    return None if out is None or getattr(out, "closed", False) else out


def show(text: str) -> None:
    """Print a line at once, where it can be seen."""
    out = console()
    if out is not None:
        print(text, file=out, flush=hasattr(out, "flush"))
