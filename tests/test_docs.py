"""The code in the README and in the guide runs."""

import re
from pathlib import Path

import pytest

from skae._base import BaseAutoencoder

ROOT = Path(__file__).parents[1]
CODE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = {
    path.relative_to(ROOT).as_posix(): CODE.findall(path.read_text())
    for path in [ROOT / "README.md", *sorted((ROOT / "docs" / "guide").glob("*.md"))]
}


@pytest.mark.parametrize("page", [page for page, blocks in PAGES.items() if blocks])
def test_the_code_of_a_page_runs_from_top_to_bottom(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": page}
    for block in PAGES[page]:
        if "set_callbacks" in block and not hasattr(BaseAutoencoder, "set_callbacks"):
            continue  # scikit-learn before 1.9 has none
        exec(compile(block, page, "exec"), namespace)
