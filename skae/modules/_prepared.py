"""Dense layers prepared for training steps without autograd.

Autograd and module calls take longer than the products of small matrices. A prepared
layer holds the tensors that a step needs. It writes the gradients of its parameters
into buffers that are kept from step to step.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from skae.modules._conditional_mean import ConditionalMean
from skae.modules._layers import TiedLinear
from skae.modules._mixed_link import MixedLink

_aten = torch.ops.aten

# Activations, and functions from the gradient of the output to that of the input.
_ACTIVATIONS: dict[type[nn.Module], tuple[Callable[..., Tensor], Callable]] = {
    nn.ELU: (
        functional.elu,
        lambda grad, x, y: _aten.elu_backward.default(grad, 1.0, 1.0, 1.0, False, x),
    ),
    nn.GELU: (
        functional.gelu,
        lambda grad, x, y: _aten.gelu_backward.default(grad, x),
    ),
    nn.Identity: (lambda x: x, lambda grad, x, y: grad),
    nn.ReLU: (
        torch.relu,
        lambda grad, x, y: _aten.threshold_backward.default(grad, y, 0),
    ),
    nn.SELU: (
        functional.selu,
        lambda grad, x, y: _aten.elu_backward.default(
            grad, 1.6732632423543772, 1.0507009873554805, 1.0, False, x
        ),
    ),
    nn.SiLU: (
        functional.silu,
        lambda grad, x, y: _aten.silu_backward.default(grad, x),
    ),
    nn.Sigmoid: (
        torch.sigmoid,
        lambda grad, x, y: _aten.sigmoid_backward.default(grad, y),
    ),
    nn.Tanh: (torch.tanh, lambda grad, x, y: _aten.tanh_backward.default(grad, y)),
}
# ConditionalMean and MixedLink have no effect: training rows have no missing values,
# and the loss takes the output before the link.
_KNOWN = {nn.Linear, TiedLinear, ConditionalMean, MixedLink, *_ACTIVATIONS}
_HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
)


def can_be_prepared(module: nn.Module) -> bool:
    """Return whether all layers of a module are known and have no hooks."""
    return all(
        _is_plain(each) and (each is module or _is_known(each))
        for each in module.modules()
    )


def _is_known(layer: nn.Module) -> bool:
    return type(layer) in _KNOWN or len(layer._modules) > 0


def _is_plain(module: nn.Module) -> bool:
    """Return whether a module and its own parameters are unchanged, without hooks."""
    state = vars(module)
    return not any(state[name] for name in _HOOKS) and all(
        p is None
        or (
            p.dtype == torch.float32
            and p.is_contiguous()
            and not p._backward_hooks
            and not getattr(p, "_post_accumulate_grad_hooks", None)
        )
        for p in module._parameters.values()
    )


class _Slot:
    """The gradient of a parameter, and the buffer that it is written to."""

    def __init__(self, parameter: Tensor) -> None:
        self.parameter = parameter
        self.grad: Tensor | None = None

    def product(self, a: Tensor, b: Tensor, add: bool) -> None:
        if add and self.grad is not None:
            self.grad.addmm_(a, b)
        elif self.grad is None:
            self.grad = torch.mm(a, b)
        else:
            torch.mm(a, b, out=self.grad)

    def column_sums(self, grad: Tensor) -> None:
        if self.grad is None:
            self.grad = grad.sum(0)
        else:
            torch.sum(grad, 0, out=self.grad)


class _Affine:
    """A Linear or TiedLinear."""

    def __init__(self, layer: Any, slots: dict[int, _Slot]) -> None:
        self.tied = isinstance(layer, TiedLinear)
        weight = layer.source.weight if self.tied else layer.weight
        plain = weight.detach()
        self.matrix = plain if self.tied else plain.t()
        self.back = plain.t() if self.tied else plain
        self.bias = None if layer.bias is None else layer.bias.detach()
        # The second of two layers that share a weight adds its gradient.
        self.adds = id(weight) in slots
        self.weight_slot = self._slot(weight, slots)
        self.bias_slot = None if layer.bias is None else self._slot(layer.bias, slots)

    @staticmethod
    def _slot(parameter: Tensor, slots: dict[int, _Slot]) -> _Slot | None:
        if not parameter.requires_grad:
            return None
        return slots.setdefault(id(parameter), _Slot(parameter))

    def forward(self, x: Tensor) -> Tensor:
        self.x = x
        if self.bias is None:
            return torch.mm(x, self.matrix)
        return torch.addmm(self.bias, x, self.matrix)

    def to_parameters(self, grad: Tensor) -> None:
        if self.weight_slot is not None:
            a, b = (self.x, grad) if self.tied else (grad, self.x)
            self.weight_slot.product(a.t(), b, self.adds)
        if self.bias_slot is not None:
            self.bias_slot.column_sums(grad)

    def to_input(self, grad: Tensor) -> Tensor:
        return torch.mm(grad, self.back)


class _Activation:
    """A function of entries."""

    def __init__(self, layer: nn.Module) -> None:
        self.function, self.gradient = _ACTIVATIONS[type(layer)]

    def forward(self, x: Tensor) -> Tensor:
        self.x = x
        self.y = y = self.function(x)
        return y

    def to_parameters(self, grad: Tensor) -> None:
        """Do nothing: there are no parameters."""

    def to_input(self, grad: Tensor) -> Tensor:
        return self.gradient(grad, self.x, self.y)


class PreparedDense:
    """Encoder and decoder, each with or without a linear path beside it.

    Parameters
    ----------
    encoder, decoder : iterable of torch.nn.Module
        Linear layers, tied ones and activations.

    linear_encoder, linear_decoder : torch.nn.Linear or TiedLinear, default=None
        The linear path.
    """

    def __init__(
        self,
        encoder: Iterable[nn.Module],
        decoder: Iterable[nn.Module],
        linear_encoder: nn.Module | None = None,
        linear_decoder: nn.Module | None = None,
    ) -> None:
        slots: dict[int, _Slot] = {}

        def prepared(layer: nn.Module) -> Any:
            if type(layer) in _ACTIVATIONS:
                return _Activation(layer)
            return _Affine(layer, slots)

        # In the order in which gradients are written.
        self._decoder: Sequence[Any] = [prepared(layer) for layer in decoder]
        self._linear_decoder, self._linear_encoder = (
            None if path is None else prepared(path)
            for path in (linear_decoder, linear_encoder)
        )
        self._encoder: Sequence[Any] = [prepared(layer) for layer in encoder]
        self._slots = slots

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruct centred and scaled rows."""
        z = x
        for layer in self._encoder:
            z = layer.forward(z)
        if self._linear_encoder is not None:
            z += self._linear_encoder.forward(x)
        x_hat = z
        for layer in self._decoder:
            x_hat = layer.forward(x_hat)
        if self._linear_decoder is not None:
            x_hat += self._linear_decoder.forward(z)
        return x_hat

    def backward(self, grad: Tensor) -> None:
        """Write the gradients of the parameters from that of the reconstruction."""
        grad_z = grad
        for layer in reversed(self._decoder):
            layer.to_parameters(grad_z)
            grad_z = layer.to_input(grad_z)
        if self._linear_decoder is not None:
            self._linear_decoder.to_parameters(grad)
            grad_z += self._linear_decoder.to_input(grad)
        if self._linear_encoder is not None:
            self._linear_encoder.to_parameters(grad_z)
        first = self._encoder[0]
        for layer in reversed(self._encoder):
            layer.to_parameters(grad_z)
            if layer is not first:
                grad_z = layer.to_input(grad_z)

    def set_gradients(self) -> None:
        """Set the `grad` of each parameter to the buffer of its gradient."""
        for slot in self._slots.values():
            slot.parameter.grad = slot.grad

    def add_gradients(self) -> None:
        """Add the gradients to the `grad` of the parameters."""
        for slot in self._slots.values():
            parameter, grad = slot.parameter, slot.grad
            slot.grad = None  # the buffer belongs to the parameter now
            if grad is None:
                continue
            has = parameter.grad
            parameter.grad = grad if has is None else has.add_(grad)
