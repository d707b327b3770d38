"""Random numbers that do not change the caller's generators."""

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

# All threads share the global generators, so only one block at a time may use them.
_global_generators = threading.RLock()
if hasattr(os, "register_at_fork"):
    # A forked child lacks the thread that would restore the generators, so no block may
    # be using them at a fork.
    os.register_at_fork(
        before=_global_generators.acquire,
        after_in_parent=_global_generators.release,
        after_in_child=_global_generators.release,
    )


def private_generator(random_state: Any) -> np.random.RandomState:
    """Return the generator of a `random_state`; None makes a new one."""
    if random_state is None:
        return np.random.RandomState(np.random.SeedSequence().generate_state(4))
    return check_random_state(random_state)


class DrawsFrom(TorchFunctionMode):
    """Context in which layers draw their initial weights from a private generator.

    The layers of torch use the global generator by default, which other threads may use
    at the same time.

    Parameters
    ----------
    seed : int
        Seed of the generator.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._generator = torch.Generator().manual_seed(seed)

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        # The functions of torch.nn.init that draw have a generator, None by default.
        if "generator" in kwargs and kwargs["generator"] is None:
            kwargs["generator"] = self._generator
        return func(*args, **kwargs)


class PrivateRandomState:
    """Context in which the global generators have a private state.

    It is for code of the user that draws from the global generators of torch, numpy or
    Python and accepts no other generator. On exit the states of the caller are
    restored. On the next entry the private state continues where it stopped. Other
    threads must not use the global generators in the meantime.

    Parameters
    ----------
    seed : int
        Seed of the private state.

    device : torch.device
        Device whose generator is replaced, in addition to those of the CPU.
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
    """Return a context in which to build a module on the CPU.

    `own_module` says whether it is a module of the user.
    """
    if own_module:
        return PrivateRandomState(seed, torch.device("cpu"))
    return DrawsFrom(seed)
