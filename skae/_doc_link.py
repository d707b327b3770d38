"""Links from scikit-learn's diagram of an estimator to its page."""

from functools import cache
from importlib import metadata


@cache
def documentation() -> str:
    """Return the address of the documentation, or "" if it has none."""
    try:
        urls = metadata.metadata("skae").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:  # a checkout on the path
        return ""
    address = dict(url.split(", ", 1) for url in urls).get("Documentation", "")
    # A placeholder until the documentation has an address.
    return "" if "//example.org" in address else address.rstrip("/")


class DocLinkMixin:
    """Mixin that links the diagram of an estimator of skae to its page."""

    def _get_doc_link(self) -> str:
        # scikit-learn calls this method. Classes of users have no page here.
        cls = type(self)
        if not documentation() or not cls.__module__.startswith("skae."):
            return ""
        return f"{documentation()}/generated/skae.{cls.__name__}.html"
