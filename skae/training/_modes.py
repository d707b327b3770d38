"""Modes of torch, which belong to the caller."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

# Those that estimators compute on.
_DEVICE_TYPES = ("cpu", "cuda", "mps")
_MAKERS = {
    *(torch.empty, torch.empty_strided, torch.zeros, torch.ones, torch.eye),
    *(torch.rand, torch.randn, torch.linspace, torch.logspace),
}
# These have the default dtype only if they are given Python's floats.
_MAKERS_OF_VALUES = {torch.tensor, torch.as_tensor, torch.full, torch.arange}


@contextmanager
def own_modes(gradients: bool = True) -> Iterator[None]:
    """Run a block as if the caller had changed no mode of torch.

    The default dtype is float32 and the default device the CPU, nothing is cast
    automatically, and there are gradients or not, as the block needs it. All this holds
    for this thread alone, and the caller's modes are back at the end.

    Parameters
    ----------
    gradients : bool, default=True
        Whether the block computes gradients. Without, it runs in inference mode.
    """
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(not gradients))
        for device_type in _DEVICE_TYPES:
            if torch.is_autocast_enabled(device_type):
                stack.enter_context(torch.autocast(device_type, enabled=False))
        # It shows the defaults, however they were set.
        default = torch.empty(0)
        if default.device.type != "cpu":
            stack.enter_context(torch.device("cpu"))
        if default.dtype != torch.float32:
            stack.enter_context(_Float32())
        yield


class _Float32(TorchFunctionMode):
    """Make tensors of float32 where a call names no dtype.

    torch has one default dtype for all threads: to change it would change what other
    threads compute.
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
