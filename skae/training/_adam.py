"""Adam with less Python around it."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class _OneCall:
    """Mixin for torch's Adam and AdamW: a fused step calls the kernel at once.

    torch sorts the tensors by device and type at each step, which takes several times
    as long as updating a small net does. Here they are all of one kind. State, hooks
    and everything else are torch's.
    """

    param_groups: list[dict[str, Any]]
    _init_group: Any

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, as torch does."""
        if not set_to_none:
            return super().zero_grad(set_to_none=False)  # type: ignore[misc]
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None
        return None

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take a step, as torch does."""
        scaled = getattr(self, "grad_scale", None) is not None  # by a GradScaler
        if scaled or not all(map(_is_plain, self.param_groups)):
            return super().step(closure)  # type: ignore[misc]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            # Parameters, gradients, their averages, those of their squares, the
            # largest of these, numbers of steps.
            tensors: list[list[Tensor]] = [[], [], [], [], [], []]
            self._init_group(group, *tensors)
            if not tensors[0]:
                continue
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
        return loss


def _is_plain(group: dict[str, Any]) -> bool:
    """Whether the kernel alone does all that the options of a group ask for."""
    return group["fused"] and not (group["capturable"] or group["differentiable"])


class Adam(_OneCall, torch.optim.Adam):
    """:class:`torch.optim.Adam`, faster for small nets."""


class _AdamW(_OneCall, torch.optim.AdamW):
    """:class:`torch.optim.AdamW`, faster for small nets."""


# Before torch 2.7, AdamW was not an Adam, and gathered its tensors in another way.
AdamW: type[torch.optim.Optimizer] = (
    _AdamW if issubclass(torch.optim.AdamW, torch.optim.Adam) else torch.optim.AdamW
)
