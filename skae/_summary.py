"""A fitted network in words: its layers, and how its training went."""

import copy
import html
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skae.training import own_modes

# Applies a network to rows, up to the end of a part.
_Part = Callable[[Any, Tensor], Tensor]


class _Layer(NamedTuple):
    name: str
    kind: str
    output: str
    n_parameters: int


class SummaryMixin:
    """Give a fitted estimator `summary`, and show it in notebooks."""

    net_: Any
    n_features_in_: int
    n_components_: int

    # A class says how training went.
    _training_in_words: Callable[[], str]

    def _parts(self) -> dict[str, _Part]:
        """Functions of the network and rows that use up to so many of its parts."""
        return {
            "encoder": lambda module, x: module.encode(x),
            "decoder": lambda module, x: module.decode(module.encode(x)),
        }

    def summary(self) -> str:
        """Describe the trained network and how training went, in a text to print.

        The layers that have parameters are listed with the shape of what they give of
        a row and with the number of their parameters. Those that layers share count
        once.

        Returns
        -------
        text : str
            Some lines of text.
        """
        check_is_fitted(self)
        module = self.net_.plain_module_
        n_parameters = sum(p.numel() for p in module.parameters())
        n_fixed = sum(p.numel() for p in module.parameters() if not p.requires_grad)
        rows = torch.zeros(
            (2, self.n_features_in_), dtype=torch.float32, device=self.net_.device
        )
        table = [("layer", "", "output", "parameters")]
        for part, layers in _layers(module, self._parts(), rows).items():
            table.append((part, "", "", ""))
            table += [(f"  {a}", b, c, f"{n:,}") for a, b, c, n in layers]
        table.append(("all", "", "", f"{n_parameters:,}"))
        if n_fixed:
            table.append(("of these fixed", "", "", f"{n_fixed:,}"))
        return "\n".join(
            [
                f"{type(self).__name__}: {self.n_features_in_:,} columns, "
                f"{self.n_components_:,} components",
                "",
                *_aligned(table),
                "",
                self._training_in_words(),
            ]
        )

    def _html_repr(self) -> str:
        # What scikit-learn calls for the diagram of an estimator.
        diagram = super()._html_repr()  # type: ignore[misc]
        if not hasattr(self, "net_"):
            return diagram
        text = html.escape(self.summary())
        return (
            f"{diagram}<details><summary>Network</summary><pre>{text}</pre></details>"
        )


def _layers(
    module: nn.Module, parts: dict[str, _Part], rows: Tensor
) -> dict[str, list[_Layer]]:
    """Find the layers with parameters, by the first part that uses them."""
    module = copy.deepcopy(module).eval()
    counted: set[int] = set()
    found: dict[str, list[_Layer]] = {}
    unused = {
        name: layer
        for name, layer in module.named_modules()
        if any(True for _ in layer.parameters(recurse=False))
    }

    def note(part: str, name: str, output: Any) -> None:
        layer = unused.pop(name, None)
        if layer is None:
            return
        own = [p for p in layer.parameters(recurse=False) if id(p) not in counted]
        counted.update(map(id, own))
        while isinstance(output, tuple):  # of recurrent layers, the outputs
            output = output[0]
        shape = " × ".join(map(str, output.shape[1:]))
        found.setdefault(part, []).append(
            _Layer(name, type(layer).__name__, shape, sum(p.numel() for p in own))
        )

    with own_modes(gradients=False):
        for part, function in parts.items():
            hooks = [
                layer.register_forward_hook(
                    lambda _, __, output, part=part, name=name: note(part, name, output)
                )
                for name, layer in unused.items()
            ]
            function(module, rows)
            for hook in hooks:
                hook.remove()
    others = [
        _Layer(name, "", "", parameter.numel())
        for name, parameter in module.named_parameters()
        if id(parameter) not in counted
    ]
    # Such as parameters of the module itself, which is not called.
    return {**found, "in no layer": others} if others else found


def _aligned(table: Sequence[tuple[str, str, str, str]]) -> list[str]:
    """Lines of a table, its last two columns to the right."""
    a, b, c, d = (max(map(len, column)) for column in zip(*table, strict=True))
    return [
        f"{name:<{a}}  {kind:<{b}}  {output:>{c}}  {number:>{d}}".rstrip()
        for name, kind, output, number in table
    ]
