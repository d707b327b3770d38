"""Adam and AdamW with less overhead for small networks."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def _undecorated(name: str) -> Any:
    """Return a method of torch's optimizers without its decorator."""
    method = getattr(torch.optim.Optimizer, name)
    return getattr(method, "__wrapped__", method)


class _OneCall:
    """Mixin for Adam and AdamW of torch whose fused step calls the kernel directly.

    torch groups the tensors by device and dtype in each step. For a small net this
    takes several times as long as the update itself. Here all tensors have the same
    device and dtype. State, hooks and everything else are inherited from torch.
    """

    param_groups: list[dict[str, Any]]
    _init_group: Any

    # The decorator hides a method from torch.compile. Its first call imports the
    # compiler, which takes longer than a fit of a small table.
    add_param_group = _undecorated("add_param_group")
    load_state_dict = _undecorated("load_state_dict")
    state_dict = _undecorated("state_dict")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Reset the gradients, as in torch."""
        if not set_to_none:
            return super().zero_grad(set_to_none=False)  # type: ignore[misc]
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None
        return None

    def prepared(self) -> Callable[[], Any]:
        """Return a function that takes steps with gradients in the current tensors."""
        hooks = (
            getattr(self, f"_optimizer_step_{when}_hooks") for when in ("pre", "post")
        )
        scaled = getattr(self, "grad_scale", None) is not None
        if scaled or any(hooks) or not all(map(_is_plain, self.param_groups)):
            return self.step
        groups = []
        for group in self.param_groups:
            tensors: list[list[Tensor]] = [[], [], [], [], [], []]
            self._init_group(group, *tensors)
            if tensors[0]:
                groups.append((group, tensors))

        def step() -> None:
            for group, tensors in groups:
                _update(group, tensors)

        return step

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Perform an optimization step, as in torch."""
        scaled = getattr(self, "grad_scale", None) is not None  # a GradScaler sets it
        if scaled or not all(map(_is_plain, self.param_groups)):
            return super().step(closure)  # type: ignore[misc]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            # _init_group fills these lists: parameters, gradients, averages of the
            # gradients, averages of their squares, maxima of these, numbers of steps.
            tensors: list[list[Tensor]] = [[], [], [], [], [], []]
            self._init_group(group, *tensors)
            if not tensors[0]:
                continue
            _update(group, tensors)
        return loss


def _update(group: dict[str, Any], tensors: list[list[Tensor]]) -> None:
    """Update the parameters of a group with the fused kernel of torch."""
    torch._foreach_add_(tensors[-1], 1)
    beta1, beta2 = group["betas"]
    decoupled = group.get("decoupled_weight_decay", False)  # since torch 2.7
    kernel = torch._fused_adamw_ if decoupled else torch._fused_adam_
    kernel(
        *tensors,
        lr=group["lr"],
        beta1=beta1,
        beta2=beta2,
        weight_decay=group["weight_decay"],
        eps=group["eps"],
        amsgrad=group["amsgrad"],
        maximize=group["maximize"],
    )


def _is_plain(group: dict[str, Any]) -> bool:
    """Return whether the fused kernel supports all options of a parameter group."""
    return group["fused"] and not (group["capturable"] or group["differentiable"])


class Adam(_OneCall, torch.optim.Adam):
    """:class:`torch.optim.Adam`, faster for small nets."""


class _AdamW(_OneCall, torch.optim.AdamW):
    """:class:`torch.optim.AdamW`, faster for small nets."""


# Before torch 2.7, AdamW was not a subclass of Adam and had another _init_group.
AdamW: type[torch.optim.Optimizer] = (
    _AdamW if issubclass(torch.optim.AdamW, torch.optim.Adam) else torch.optim.AdamW
)
