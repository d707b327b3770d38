"""Gradients of dense layers by hand.

Autograd spends more time on its own bookkeeping than on the products of small matrices.
Layers as simple as these need no more than a list of their inputs and outputs.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from skae.modules._layers import TiedLinear

_aten = torch.ops.aten

# Gradients with respect to the input of an activation, given that of its output.
_ACTIVATION_GRADIENTS: dict[type[nn.Module], Callable[..., Tensor]] = {
    nn.ELU: lambda grad, x, y: _aten.elu_backward.default(
        grad, 1.0, 1.0, 1.0, False, x
    ),
    nn.GELU: lambda grad, x, y: _aten.gelu_backward.default(grad, x),
    nn.Identity: lambda grad, x, y: grad,
    nn.ReLU: lambda grad, x, y: _aten.threshold_backward.default(grad, y, 0),
    nn.SELU: lambda grad, x, y: _aten.elu_backward.default(
        grad, 1.6732632423543772, 1.0507009873554805, 1.0, False, x
    ),
    nn.Sigmoid: lambda grad, x, y: _aten.sigmoid_backward.default(grad, y),
    nn.Tanh: lambda grad, x, y: _aten.tanh_backward.default(grad, y),
}

# Layers in the order they were applied, each with its input and output.
Tape = list[tuple[nn.Module, Tensor, Tensor]]


def forward(layers: Iterable[nn.Module], x: Tensor) -> tuple[Tensor, Tape]:
    """Apply layers one after the other, and record their inputs and outputs."""
    tape: Tape = []
    for layer in layers:
        y = layer(x)
        tape.append((layer, x, y))
        x = y
    return x, tape


def backward(tape: Tape, grad: Tensor, to_input: bool) -> Tensor:
    """Add the gradients of the layers' parameters to their `grad`.

    Parameters
    ----------
    tape : Tape
        The tape that `forward` returned.

    grad : tensor of shape (batch, d_out)
        Gradient with respect to the output.

    to_input : bool
        Whether to compute the gradient with respect to the input of the first layer.

    Returns
    -------
    grad : tensor of shape (batch, d_in)
        Gradient with respect to the input. Without `to_input`, it is that with respect
        to the output of the first layer.
    """
    for i in reversed(range(len(tape))):
        layer, x, y = tape[i]
        activation_gradient = _ACTIVATION_GRADIENTS.get(type(layer))
        if activation_gradient is not None:
            grad = activation_gradient(grad, x, y)
            continue
        add_linear_gradient(layer, x, grad)
        if i > 0 or to_input:
            grad = input_gradient(layer, grad)
    return grad


def add_linear_gradient(layer: Any, x: Tensor, grad: Tensor) -> None:
    """Add the gradients of the weight and the bias of a Linear or TiedLinear."""
    tied = isinstance(layer, TiedLinear)
    weight, bias = layer.source.weight if tied else layer.weight, layer.bias
    if weight.requires_grad:
        _add(weight, torch.mm(x.t(), grad) if tied else torch.mm(grad.t(), x))
    if bias is not None and bias.requires_grad:
        _add(bias, grad.sum(0))


def input_gradient(layer: Any, grad: Tensor) -> Tensor:
    """Return the gradient with respect to the input of a Linear or TiedLinear."""
    if isinstance(layer, TiedLinear):
        return torch.mm(grad, layer.source.weight.t())
    return torch.mm(grad, layer.weight)


def _add(parameter: Tensor, grad: Tensor) -> None:
    parameter.grad = grad if parameter.grad is None else parameter.grad.add_(grad)
