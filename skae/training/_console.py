"""Printing to standard output, if it exists."""

import importlib.util
import re
import sys
from typing import Any

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def console() -> Any:
    """Return standard output, or None if there is none, as in a windowed program."""
    out = sys.stdout
    return None if out is None or getattr(out, "closed", False) else out


def show(text: str) -> None:
    """Print a line to standard output without buffering."""
    out = console()
    if out is not None:
        if not is_interactive():
            text = _COLOURS.sub("", text)
        print(text, file=out, flush=hasattr(out, "flush"))


def is_interactive() -> bool:
    """Return whether standard output is a terminal or a notebook, and not a file."""
    out = console()
    is_terminal = getattr(out, "isatty", None)
    return is_notebook() or bool(is_terminal is not None and is_terminal())


def is_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and "IPKernelApp" in shell.config


def progress_bar_type() -> Any:
    """Return the class of a progress bar for this terminal or notebook."""
    # In a notebook without widgets, tqdm.auto warns and asks to update Jupyter.
    if is_notebook() and importlib.util.find_spec("ipywidgets") is not None:
        from tqdm.notebook import tqdm
    else:
        from tqdm.std import tqdm
    return tqdm
