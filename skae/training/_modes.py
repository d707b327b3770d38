"""Protection from modes of torch set by the caller."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

# Types of the devices that estimators compute on.
_DEVICE_TYPES = ("cpu", "cuda", "mps")
_MAKERS = {
    *(torch.empty, torch.empty_strided, torch.zeros, torch.ones, torch.eye),
    *(torch.rand, torch.randn, torch.linspace, torch.logspace),
}
# These functions use the default dtype only for Python floats.
_MAKERS_OF_VALUES = {torch.tensor, torch.as_tensor, torch.full, torch.arange}


@contextmanager
def own_modes(gradients: bool = True) -> Iterator[None]:
    """Run a block as if the caller had changed no mode of torch.

    In the block, the default dtype is float32, the default device is the CPU, autocast
    is disabled, and gradients are computed only if `gradients` is True. Only this
    thread is affected, and the caller's modes are restored at the end.

    Parameters
    ----------
    gradients : bool, default=True
        Whether the block computes gradients. If False, it runs in inference mode.
    """
    contexts: list[Any] = [
        torch.autocast(device_type, enabled=False)
        for device_type in _DEVICE_TYPES
        if torch.is_autocast_enabled(device_type)
    ]
    # A new tensor shows the defaults, no matter how they were set.
    default = torch.empty(0)
    if default.device.type != "cpu":
        contexts.append(torch.device("cpu"))
    if default.dtype != torch.float32:
        contexts.append(_Float32())
    with torch.inference_mode(not gradients):
        if not contexts:  # an empty stack takes as long as a small layer
            yield
            return
        with ExitStack() as stack:
            for context in contexts:
                stack.enter_context(context)
            yield


class _Float32(TorchFunctionMode):
    """Mode in which new tensors are float32 if a call passes no dtype.

    torch has one default dtype for all threads, so changing it would change results in
    other threads.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func in _MAKERS and kwargs.get("dtype") is None:
            kwargs["dtype"] = torch.float32
        made = func(*args, **kwargs)
        if func in _MAKERS_OF_VALUES and kwargs.get("dtype") is None:
            has_own = hasattr(args[0], "dtype") if args else False
            if made.dtype == torch.get_default_dtype() and not has_own:
                return func(*args, **kwargs, dtype=torch.float32)
        return made
