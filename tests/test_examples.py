"""Examples run as scripts, and as notebooks that are downloaded."""

import ast
import json
import re
from pathlib import Path

import pytest

from skae.datasets import load_fashion_mnist

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").rglob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_need_no_command_line(path):
    """A notebook has arguments of its own, and no file."""
    tree = ast.parse(path.read_text())
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    modules = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert "argparse" not in modules
    assert not names & {"__file__", "argv"}
    attributes = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    assert "argv" not in attributes


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_begin_with_a_title(path):
    title, line, *_ = ast.get_docstring(ast.parse(path.read_text())).splitlines()
    assert set(line) == {"="} and len(line) == len(title)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_have_a_thumbnail_of_their_own(path):
    """The first picture that they draw, or the one that they name."""
    text = path.read_text()
    named = re.findall(r"^# sphinx_gallery_thumbnail_path = '(.+)'$", text, re.M)
    assert bool(named) != ("plt.show()" in text)
    for name in named:
        assert (ROOT / "docs" / name).is_file()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_run_as_notebooks(path, tmp_path):
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    parser = pytest.importorskip("sphinx_gallery.py_source_parser")
    notebook = pytest.importorskip("sphinx_gallery.notebook")
    gen_gallery = pytest.importorskip("sphinx_gallery.gen_gallery")
    if path.stem == "grid_on_dask":
        pytest.importorskip("dask_ml")
    if "load_fashion_mnist" in path.read_text():
        try:
            load_fashion_mnist(n_samples=1)
        except OSError as error:
            pytest.skip(str(error))
    configuration = gen_gallery.DEFAULT_GALLERY_CONF
    _, blocks = parser.split_code_and_text_blocks(path)
    content = notebook.jupyter_notebook(blocks, configuration, str(tmp_path))
    cells = nbformat.reads(json.dumps(content), as_version=4)
    nbclient.NotebookClient(cells, resources={"metadata": {"path": tmp_path}}).execute()
    written = [
        output.text
        for cell in cells.cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream"
    ]
    assert not [text for text in written if "Warning" in text or "\r" in text]
