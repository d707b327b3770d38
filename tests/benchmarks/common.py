"""What the benchmarks share: the command line, the data sets, what is written."""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import sklearn
import skorch
import torch

import skae
from tests.benchmarks.data import DatasetUnavailable, load


def parser(doc, names=None, repeats=None):
    """Command line of a benchmark, of the sets of those names if there are any.

    `repeats` is how many runs there are of each side, unless the user says otherwise.
    """
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    if names is not None:
        parser.add_argument("sets", nargs="*", default=list(names))
    if repeats is not None:
        parser.add_argument(
            "--repeats", type=int, default=repeats, help="runs of each side"
        )
    parser.add_argument(
        "--output", type=Path, default=Path.cwd(), help="folder for the results"
    )
    return parser


def environment():
    """What the figures depend on besides the code."""
    versions = {m.__name__: m.__version__ for m in (np, sklearn, skorch, torch, skae)}
    return {
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "versions": versions,
    }


def peak_megabytes():
    """Largest memory of this process so far; see `in_a_process`."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS
    # getrusage would begin with the memory of the process that started this one.
    line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def in_a_process(name, *arguments, **variables):
    """Run a benchmark in a process of its own, and read the JSON that it prints."""
    result = subprocess.run(
        [sys.executable, "-m", f"tests.benchmarks.{name}", *map(str, arguments)],
        capture_output=True,
        env={**os.environ, **variables},
        text=True,
    )
    if result.returncode:
        raise RuntimeError(result.stderr)
    return json.loads(result.stdout)


def available(names):
    """Data sets of those names, without those that are not to be had."""
    for name in names:
        try:
            yield load(name)
        except DatasetUnavailable as error:
            warnings.warn(f"{name} is left out: {error}", stacklevel=2)


def table(first, titles, lines):
    """Lines of a table, none without cells."""
    if not lines:
        return []
    titles = [*first, *titles]
    return [
        "| " + " | ".join(titles) + " |",
        "|" + " --- |" * len(titles),
        *("| " + " | ".join(line) + " |" for line in lines),
        "",
    ]


def number(value, digits=3):
    """Text of a figure, empty for None."""
    return "" if value is None else f"{value:.{digits}f}"


def save(folder, name, record, markdown):
    """Write the results as JSON and as a table; to be called after each part.

    So a run that is broken off is not lost.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(record, indent=1))
    (folder / f"{name}.md").write_text(markdown + "\n")
