"""Random numbers that leave the caller's generators alone."""

import random
import threading
from types import TracebackType
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state

# The global generators are one for the process: only one block may borrow them.
_global_generators = threading.RLock()


def private_generator(random_state: Any) -> np.random.RandomState:
    """Give the generator of a `random_state`; for None, not numpy's global one."""
    if random_state is None:
        return np.random.RandomState(np.random.SeedSequence().generate_state(4))
    return check_random_state(random_state)


class PrivateRandomState:
    """Context in which the global generators continue a stream of their own.

    For code that draws from those of torch, numpy or Python and cannot be told
    otherwise: the initialisation of layers, a user's module. On exit the caller's
    states are back; on the next entry the private stream goes on where it stopped.

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
