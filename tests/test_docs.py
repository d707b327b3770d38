"""The code in the README and in the guide runs, and prints what the pages show."""

import contextlib
import io
import json
import re
import tomllib
from pathlib import Path

import pytest

import skae
from skae._base import BaseAutoencoder
from tests.benchmarks import floor

ROOT = Path(__file__).parents[1]
# A block of Python, and the block of text right after it, if there is one: its output.
CODE = re.compile(
    r"^```python\n(.*?)^```$(?:\n+```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL
)
NUMBER = re.compile(r"-?\d+\.\d*(?:e-?\d+)?")
# Fragments, such as those for a cluster, are in blocks of `{code-block}`.
PAGES = {
    path.relative_to(ROOT).as_posix(): CODE.findall(path.read_text())
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
    if "_build" not in path.parts and "auto_examples" not in path.parts
}


def assert_same_output(printed, shown):
    """Compare words and integers as they are, and other numbers with a tolerance.

    Training rounds differently on each processor, so the tolerance is wide. Three dots
    stand for anything.
    """
    words = [re.escape(word) for word in NUMBER.sub("#", shown).split()]
    pattern = r"\s+".join(words).replace(r"\#", f"({NUMBER.pattern})")
    match = re.fullmatch(pattern.replace(r"\.\.\.", ".*?"), printed.strip(), re.DOTALL)
    assert match, printed
    numbers = [float(number) for number in match.groups()]
    expected = [float(number) for number in NUMBER.findall(shown)]
    assert numbers == pytest.approx(expected, rel=0.15, abs=0.03), printed


@pytest.mark.parametrize("page", [page for page, blocks in PAGES.items() if blocks])
def test_the_code_of_a_page_runs_and_prints_what_is_shown(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": page}
    for block, shown in PAGES[page]:
        if "set_callbacks" in block and not hasattr(BaseAutoencoder, "set_callbacks"):
            continue  # scikit-learn before 1.9 has none
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(block, page, "exec"), namespace)
        if shown:
            assert_same_output(printed.getvalue(), shown)


def test_outputs_that_differ_are_found():
    assert_same_output("score 0.80 of 12\n", "score  0.81 of 12")
    assert_same_output("score\n0.80 of 12\n", "score ... of 12")
    for printed in ("score 0.30 of 12", "score 0.80 of 13", "error 0.80 of 12", ""):
        with pytest.raises(AssertionError):
            assert_same_output(printed, "score 0.81 of 12")


@pytest.mark.parametrize("page", ["README.md", "docs/benchmarks/floor_summary.md"])
def test_the_headline_is_what_the_benchmark_measured(page):
    record = json.loads((ROOT / "docs" / "benchmarks" / "floor.json").read_text())
    assert floor.summary(record["rows"]) in (ROOT / page).read_text()
    assert len({row["set"] for row in record["rows"]}) == 24  # as the pages say


def test_the_table_of_seconds_is_what_the_benchmark_measured():
    folder = ROOT / "docs" / "benchmarks"
    rows = json.loads((folder / "floor.json").read_text())["rows"]
    assert floor.fit_seconds(rows) + "\n" == (folder / "fit_seconds.md").read_text()


def test_the_installation_page_has_the_lowest_versions():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    page = (ROOT / "docs" / "install.rst").read_text().lower()
    lowest = dict(line.split(">=") for line in project["dependencies"])
    lowest |= {"python": project["requires-python"].removeprefix(">=")}
    lowest["pytorch"] = lowest.pop("torch")
    for name, version in lowest.items():
        assert re.search(rf"^{name} +{re.escape(version)}$", page, re.MULTILINE), name


def test_the_changelog_has_the_version():
    assert f"\n## {skae.__version__}" in (ROOT / "CHANGELOG.md").read_text()
