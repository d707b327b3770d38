"""What the displays share."""

from typing import Any


def new_axes(ax: Any, caller: str) -> Any:
    """Give `ax`, or the axes of a new figure if it is None."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{caller} needs matplotlib, which is not installed. "
            "Install it with `pip install matplotlib`."
        ) from error
    return plt.subplots(layout="constrained")[1] if ax is None else ax
