"""Random numbers that leave the caller's generators alone."""

import os
import random
import threading
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch.overrides import TorchFunctionMode

# The global generators are one for the process: only one block may borrow them.
_global_generators = threading.RLock()
if hasattr(os, "register_at_fork"):
    # A child has neither the thread that borrows them nor what it would give back.
    os.register_at_fork(
        before=_global_generators.acquire,
        after_in_parent=_global_generators.release,
        after_in_child=_global_generators.release,
    )


def private_generator(random_state: Any) -> np.random.RandomState:
    """Give the generator of a `random_state`; for None, not numpy's global one."""
    if random_state is None:
        return np.random.RandomState(np.random.SeedSequence().generate_state(4))
    return check_random_state(random_state)


class DrawsFrom(TorchFunctionMode):
    """Context in which layers draw their first weights from a generator of its own.

    The layers of torch know of the global generator alone, which other threads draw
    from at the same time.

    Parameters
    ----------
    seed : int
        Start of the stream.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._generator = torch.Generator().manual_seed(seed)

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        # What draws in torch.nn.init names a generator, None by default.
        if "generator" in kwargs and kwargs["generator"] is None:
            kwargs["generator"] = self._generator
        return func(*args, **kwargs)


class PrivateRandomState:
    """Context in which the global generators continue a stream of their own.

    For code of the user's that draws from those of torch, numpy or Python and cannot be
    told otherwise. On exit the caller's states are back; on the next entry the private
    stream goes on where it stopped. Other threads must not draw from them meanwhile.

    Parameters
    ----------
    seed : int
        Start of the stream.

    device : torch.device
        Device whose generator is replaced, beside the CPU's.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._seed = seed
        self._cuda = [device] if device.type == "cuda" else []
        self._own: list[Any] = []

    def _states(self) -> list[Any]:
        cuda = [torch.cuda.get_rng_state(device) for device in self._cuda]
        numpy_state = np.random.get_state()  # noqa: NPY002
        return [torch.get_rng_state(), numpy_state, random.getstate(), *cuda]

    def _set_states(self, states: list[Any]) -> None:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        random.setstate(states[2])
        for device, state in zip(self._cuda, states[3:], strict=True):
            torch.cuda.set_rng_state(state, device)

    def __enter__(self) -> None:
        _global_generators.acquire()
        self._callers = self._states()
        if self._own:
            self._set_states(self._own)
            return
        torch.default_generator.manual_seed(self._seed)
        np.random.seed(self._seed)  # noqa: NPY002
        random.seed(self._seed)
        for device in self._cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(self._seed)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._own = self._states()
        self._set_states(self._callers)
        _global_generators.release()


def private_draws(seed: int, own_module: bool) -> AbstractContextManager[Any]:
    """Context to build a module in on the CPU, which may be one of the user's."""
    if own_module:
        return PrivateRandomState(seed, torch.device("cpu"))
    return DrawsFrom(seed)
