"""Configuration of the documentation."""

import os
import sys
import tomllib
from pathlib import Path

from sphinx.errors import ExtensionError
from sphinx_gallery.scrapers import matplotlib_scraper

import skae
from skae.datasets import load_fashion_mnist

sys.path.insert(0, str(Path(__file__).parent))  # the gallery names functions below

project = "skae"
author = "The skae developers"
copyright = "2026, The skae developers"
version = release = skae.__version__
root = Path(__file__).parents[1]
urls = tomllib.loads((root / "pyproject.toml").read_text())["project"]["urls"]

extensions = [
    "matplotlib.sphinxext.plot_directive",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = [
    "_build",
    "benchmarks/*.md",  # included by benchmarks.md
    "**/sg_execution_times.rst",
    "sg_execution_times.rst",
]

# Other projects' inventories come from the network. Without them, references to those
# projects are plain text.
intersphinx_mapping = {
    "numpy": ("https://numpy.org/doc/stable", None),
    "python": ("https://docs.python.org/3", None),
    "skorch": ("https://skorch.readthedocs.io/en/stable", None),
    "sklearn": ("https://scikit-learn.org/stable", None),
    "torch": ("https://docs.pytorch.org/docs/stable", None),
}
if os.environ.get("SKAE_DOCS_ONLINE") == "1":
    extensions.append("sphinx.ext.intersphinx")

# numpydoc documents the types; methods are listed by the template of a class.
autodoc_typehints = "none"
numpydoc_show_class_members = False


def example_order(file_name):
    """Put the quick start first."""
    return file_name != "quickstart.py", file_name


def titled_figures(block, block_vars, gallery_conf):
    """Save the figures of an example. Their titles are their alternative texts."""
    import matplotlib.pyplot as plt  # after the gallery has chosen its backend

    for number in plt.get_fignums():
        figure = plt.figure(number)
        titles = [figure.get_suptitle(), *(ax.get_title() for ax in figure.axes)]
        if len(" ".join(titles).split()) < 3:
            raise ExtensionError(
                f"A figure of {block_vars['src_file']} has no title that says what is "
                "seen, as a reader needs who cannot see it. Set one by `suptitle`."
            )
    return matplotlib_scraper(block, block_vars, gallery_conf)


def examples_to_run():
    """Return the pattern of examples to run; the others are shown without output.

    That are those that need a cluster, and those that need Fashion-MNIST where it is
    neither installed nor to be had from OpenML.
    """
    names = []
    for path in sorted((root / "examples").rglob("*.py")):
        needs_images = "load_fashion_mnist" in path.read_text()
        if path.stem != "grid_on_dask" and (has_fashion_mnist or not needs_images):
            names.append(path.stem)
    return rf"/({'|'.join(names)})\.py$"


try:
    load_fashion_mnist(n_samples=1)
    has_fashion_mnist = True
except OSError as error:
    has_fashion_mnist = False
    print(f"Some examples are not run. {error}")

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": examples_to_run(),
    "subsection_order": [
        "../examples/tables",
        "../examples/images_and_series",
        "../examples/generate_and_score",
        "../examples/under_the_hood",
    ],
    "within_subsection_order": "conf.example_order",
    "image_scrapers": "conf.titled_figures",
    "remove_config_comments": True,
    "abort_on_example_error": True,
    "parallel": 2,
    "default_thumb_file": str(Path(__file__).parent / "_static" / "logo.svg"),
    "download_all_examples": False,
    "show_memory": False,
    "write_computation_times": False,
    "show_signature": False,
    "copyfile_regex": "",
    # Where an example uses a class, the page of the class shows it.
    "backreferences_dir": "auto_examples/backreferences",
    "doc_module": ("skae",),
}

plot_formats = [("png", 150)]
plot_html_show_formats = False
plot_html_show_source_link = False
plot_rcparams = {"savefig.bbox": "tight"}

html_theme = "pydata_sphinx_theme"
html_title = f"skae {release}"
html_logo = "_static/logo.svg"
html_favicon = "_static/logo.svg"
html_theme_options = {
    "header_links_before_dropdown": 5,
    "logo": {"text": f"skae {release}", "alt_text": "skae, home"},
    "search_bar_text": "Search the documentation",
}
if "example.org" not in urls["Repository"]:
    html_theme_options["icon_links"] = [
        {
            "name": "Repository",
            "url": urls["Repository"],
            "icon": "fa-brands fa-github",
        }
    ]
# Output has no button.
copybutton_selector = (
    "div:not(.highlight-text):not(.highlight-none) > div.highlight > pre"
)
html_show_sourcelink = False
html_search_scorer = str(root / "docs" / "search_scorer.js")
html_static_path = ["_static"]
html_css_files = ["skae.css"]
# Pages without others beside them need no list of those.
html_sidebars = {
    page: [] for page in ("index", "install", "benchmarks", "contributing", "changelog")
}
toc_object_entries_show_parents = "hide"


def skip_member(app, what, name, obj, skip, options):
    """Leave out methods whose inherited docstrings link into scikit-learn's manual."""
    inherited = name in {"get_metadata_routing", "set_output"} or (
        name == "score" and getattr(obj, "__module__", "") == "sklearn.base"
    )
    return True if inherited or name.endswith("_request") else None


def setup(app):
    """Connect the functions above."""
    app.connect("autodoc-skip-member", skip_member)
