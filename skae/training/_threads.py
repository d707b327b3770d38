"""How many threads torch uses during a fit."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from skae.training._tensor_net import TensorNet

# A step of fewer operations takes longer on several threads than on one.
_SMALL_STEP = 5e8

_lock = threading.Lock()
_fits_on_one_thread = 0
_callers_threads = 1
_in_this_thread = threading.local()


@contextmanager
def threads_for(net: TensorNet) -> Iterator[None]:
    """Run a block on one thread if the training steps of a net are small.

    The caller's number of threads is back at the end. Results then do not depend on
    it either: a parallel sum adds up in another order. A block within such a block
    changes nothing.
    """
    global _fits_on_one_thread, _callers_threads
    n_parameters = sum(p.numel() for p in net.module_.parameters())
    # Each parameter takes part in a product forward and in two backward.
    large = 6 * n_parameters * net.batch_size >= _SMALL_STEP
    if large or getattr(_in_this_thread, "on_one", False):
        yield
        return
    with _lock:
        # Only the first of several simultaneous fits sees the caller's number.
        if _fits_on_one_thread == 0:
            _callers_threads = torch.get_num_threads()
        _fits_on_one_thread += 1
    _in_this_thread.on_one = True
    torch.set_num_threads(1)
    try:
        yield
    finally:
        _in_this_thread.on_one = False
        with _lock:
            _fits_on_one_thread -= 1
            torch.set_num_threads(_callers_threads)
