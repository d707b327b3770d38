"""The functions that a decoder may end in."""

from collections.abc import Callable

import torch
from torch import Tensor


def _identity(x_hat: Tensor) -> Tensor:
    return x_hat


LINKS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": _identity,
    "sigmoid": torch.sigmoid,
}


def link_name(link: str, binary_output: bool = False) -> str:
    """Return the name of the link that two parameters of a module ask for.

    Parameters
    ----------
    link : str
        Name of a link.

    binary_output : bool, default=False
        Whether the link is "sigmoid", whatever `link` is.

    Returns
    -------
    name : str
        A key of `LINKS`.

    Raises
    ------
    ValueError
        If there is no such link.
    """
    name = "sigmoid" if binary_output else link
    if name not in LINKS:
        raise ValueError(
            f"link may be {', '.join(map(repr, sorted(LINKS)))}. Got {name!r}."
        )
    return name
