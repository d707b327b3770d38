"""Text summaries of fitted networks: their layers and how training went."""

import copy
import html
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skae.training import own_modes

# A function that applies a network to rows, up to the end of a part.
_Part = Callable[[Any, Tensor], Tensor]


class _Layer(NamedTuple):
    name: str
    kind: str
    output: str
    n_parameters: int


class SummaryMixin:
    """Mixin that adds `summary` to fitted estimators and shows it in notebooks."""

    net_: Any
    n_features_in_: int
    n_components_: int

    # Each class describes how training went.
    _training_in_words: Callable[[], str]

    def _kept_start_in_words(self) -> str | None:
        """Say which model was kept in place of a trained network, if one was."""
        return None

    def _parts(self) -> dict[str, _Part]:
        """Return functions of the network and rows, each with one more part."""
        return {
            "encoder": lambda module, x: module.encode(x),
            "decoder": lambda module, x: module.decode(module.encode(x)),
        }

    @property
    def _n_inputs(self) -> int:
        """Number of columns of the input of the network."""
        return self.n_features_in_

    def _sizes_in_words(self) -> str:
        return f"{self.n_features_in_:,} columns, {self.n_components_:,} components"

    def summary(self) -> str:
        """Describe the trained network and how training went.

        The text lists all layers that have parameters, with the shape of their output
        for one row and their number of parameters. Parameters that several layers share
        are counted once.

        Returns
        -------
        text : str
            Several lines of text to print.
        """
        check_is_fitted(self)
        module = self.net_.plain_module_
        n_parameters = sum(p.numel() for p in module.parameters())
        n_fixed = sum(p.numel() for p in module.parameters() if not p.requires_grad)
        rows = torch.zeros(
            (2, self._n_inputs), dtype=torch.float32, device=self.net_.device
        )
        table = [("layer", "", "output", "parameters")]
        for part, layers in _layers(module, self._parts(), rows).items():
            table.append((part, "", "", ""))
            table += [(f"  {a}", b, c, f"{n:,}") for a, b, c, n in layers]
        table.append(("all", "", "", f"{n_parameters:,}"))
        if n_fixed:
            table.append(("of these fixed", "", "", f"{n_fixed:,}"))
        kept = self._kept_start_in_words()
        return "\n".join(
            [
                *([] if kept is None else [kept, ""]),
                f"{type(self).__name__}: {self._sizes_in_words()}",
                "",
                *_aligned(table),
                "",
                self._training_in_words(),
            ]
        )

    def _html_repr(self) -> str:
        # scikit-learn calls this method for the diagram of an estimator.
        diagram = super()._html_repr()  # type: ignore[misc]
        if not hasattr(self, "net_"):
            return diagram
        text = html.escape(self.summary())
        kept = self._kept_start_in_words()
        if kept is not None:
            diagram = f"<p>{html.escape(kept)}</p>{diagram}"
        return (
            f"{diagram}<details><summary>Network</summary><pre>{text}</pre></details>"
        )


def _layers(
    module: nn.Module, parts: dict[str, _Part], rows: Tensor
) -> dict[str, list[_Layer]]:
    """Find the layers with parameters, grouped by the first part that uses them."""
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
        while isinstance(output, tuple):  # recurrent layers also return their state
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
    # The module itself may have parameters, and no hook is called for it.
    return {**found, "in no layer": others} if others else found


def _aligned(table: Sequence[tuple[str, str, str, str]]) -> list[str]:
    """Format the lines of a table, with its last two columns aligned to the right."""
    a, b, c, d = (max(map(len, column)) for column in zip(*table, strict=True))
    return [
        f"{name:<{a}}  {kind:<{b}}  {output:>{c}}  {number:>{d}}".rstrip()
        for name, kind, output, number in table
    ]
