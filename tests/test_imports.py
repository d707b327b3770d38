"""The layers, and what importing the library costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import skae

PACKAGE = Path(skae.__file__).parent

# What a file may import besides the standard library, by the longest prefix.
ALLOWED = {
    "modules/": {"torch", "skae.modules"},
    "noise.py": {"torch"},
    "losses.py": {"torch", "skae.modules"},
    "objectives.py": {"torch", "skae.losses", "skae.modules"},
    "training/": {
        "torch",
        "numpy",
        "scipy",
        "sklearn",
        "skorch",
        "threadpoolctl",
        "tqdm",
        "skae.modules",
        "skae.noise",
        "skae.losses",
        "skae.objectives",
        "skae.training",
    },
    "plotting/": {
        *("numpy", "sklearn", "matplotlib"),
        *("skae._fitted", "skae._inputs", "skae.inspection", "skae.plotting"),
    },
    # Optional packages are imported where they are needed.
    "_columns.py": {"numpy", "narwhals", "skae._dtypes", "skae._inputs"},
    "_dtypes.py": {"numpy", "pandas", "polars", "pyarrow"},
    "_frames.py": {"numpy", "pandas", "polars"},
    "_files.py": {"torch", "numpy", "sklearn", "skorch", "safetensors", "skae"},
    "_onnx.py": {"torch", "numpy", "sklearn", "onnx", "onnxscript", "skae"},
    "_skl2onnx.py": {"numpy", "onnx", "skl2onnx", "skae"},
    "": {"torch", "numpy", "scipy", "sklearn", "skorch", "skae"},
}
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


def imported(path):
    """Modules that a file imports, with their line numbers."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import in line {node.lineno}"
            yield node.module, node.lineno


@pytest.mark.parametrize("file", FILES)
def test_each_layer_imports_only_what_it_may(file):
    rule = max((prefix for prefix in ALLOWED if file.startswith(prefix)), key=len)
    allowed = ALLOWED[rule]
    for name, line in imported(PACKAGE / file):
        top = name.split(".")[0]
        known = top in sys.stdlib_module_names or any(
            name == prefix or name.startswith(prefix + ".") for prefix in allowed
        )
        assert known, f"skae/{file}, line {line}: {rule!r} may not import {name}"


@pytest.mark.parametrize("file", FILES)
def test_private_names_of_scikit_learn_come_in_through_one_file(file):
    if file == "_sklearn_compat.py":
        return
    for node in ast.walk(ast.parse((PACKAGE / file).read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("sklearn"):
            names = [*node.module.split("."), *(alias.name for alias in node.names)]
            assert not [name for name in names if name.startswith("_")]


def printed_by(code):
    """Return what code prints in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_import_leaves_optional_packages_alone():
    code = (
        "import sys, sklearn, skorch, torch; before = set(sys.modules); import skae; "
        "new = {name.split('.')[0] for name in set(sys.modules) - before}; "
        "names = 'matplotlib', 'onnx', 'pandas', 'polars', 'safetensors', 'skl2onnx'; "
        "print([name for name in names if name in new])"
    )
    assert printed_by(code) == "[]"


def test_fitting_does_not_import_the_compiler_of_torch():
    code = (
        "import pickle, sys, numpy as np; from skae import AutoencoderTransformer; "
        "X = np.random.default_rng(0).normal(size=(50, 4)); "
        "model = AutoencoderTransformer(2, max_epochs=2, random_state=0).fit(X); "
        "pickle.loads(pickle.dumps(model)).partial_fit(X).transform(X); "
        "print('torch._dynamo' in sys.modules)"
    )
    assert printed_by(code) == "False"
