"""Number of threads that torch uses during a fit and in forked processes."""

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from skae.training._tensor_net import TensorNet

# Steps with fewer operations take longer on several threads than on one.
_SMALL_STEP = 5e8

_lock = threading.Lock()
_blocks_on_one_thread = 0
_callers_threads = 1
_in_this_thread = threading.local()


def threads_for(net: TensorNet) -> AbstractContextManager[None]:
    """Return a context that uses one thread if the training steps of a net are small.

    With one thread, results do not depend on the caller's number of threads, which
    changes the order of summation.
    """
    n_parameters = sum(p.numel() for p in net.module_.parameters())
    # Each parameter is used in one product of the forward pass, and in two of the
    # backward pass.
    large = 6 * n_parameters * net.batch_size >= _SMALL_STEP
    return nullcontext() if large else on_one_thread()


@contextmanager
def on_one_thread() -> Iterator[None]:
    """Run a block on one thread of torch.

    The caller's number of threads is restored at the end. A nested block has no effect.
    """
    global _blocks_on_one_thread, _callers_threads
    if getattr(_in_this_thread, "on_one", False):
        yield
        return
    with _lock:
        # Only the first of several simultaneous blocks sees the caller's number.
        if _blocks_on_one_thread == 0:
            _callers_threads = torch.get_num_threads()
        _blocks_on_one_thread += 1
    _in_this_thread.on_one = True
    torch.set_num_threads(1)
    try:
        yield
    finally:
        _in_this_thread.on_one = False
        with _lock:
            _blocks_on_one_thread -= 1
            torch.set_num_threads(_callers_threads)


def _after_fork_in_child() -> None:
    """Set the number of threads to one in a forked child.

    The child does not have the threads that torch started in the parent, and OpenMP
    would wait for them forever.
    """
    global _lock, _blocks_on_one_thread, _callers_threads
    _lock = threading.Lock()  # another thread may have held the old one
    _blocks_on_one_thread = int(getattr(_in_this_thread, "on_one", False))
    _callers_threads = 1
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):  # Windows does not fork
    os.register_at_fork(after_in_child=_after_fork_in_child)
