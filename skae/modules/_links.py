"""Links: the last functions of decoders."""

from collections.abc import Callable

import torch
from torch import Tensor


def _identity(x_hat: Tensor) -> Tensor:
    return x_hat


LINKS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": _identity,
    "sigmoid": torch.sigmoid,
}


def link_name(
    link: str, binary_output: bool = False, others: tuple[str, ...] = ()
) -> str:
    """Return the name of the link that two parameters of a module set.

    Parameters
    ----------
    link : str
        Name of a link.

    binary_output : bool, default=False
        Whether the link is "sigmoid", whatever `link` is.

    others : tuple of str, default=()
        Names of links that the module computes itself.

    Returns
    -------
    name : str
        A key of `LINKS`, or one of `others`.

    Raises
    ------
    ValueError
        If there is no such link.
    """
    name = "sigmoid" if binary_output else link
    known = sorted({*LINKS, *others})
    if name not in known:
        raise ValueError(f"link must be {', '.join(map(repr, known))}. Got {name!r}.")
    return name
