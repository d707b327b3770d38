"""How many threads torch uses during a fit."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

# A step of fewer operations takes longer on several threads than on one.
_SMALL_STEP = 5e8

_lock = threading.Lock()
_fits_on_one_thread = 0
_callers_threads = 1


@contextmanager
def threads_for(n_parameters: int, batch_size: int) -> Iterator[None]:
    """Run a block on one thread if its training steps are small.

    The caller's number of threads is back at the end. Results then do not depend on
    it either: a parallel sum adds up in another order.
    """
    global _fits_on_one_thread, _callers_threads
    # Each parameter takes part in a product forward and in two backward.
    if 6 * n_parameters * batch_size >= _SMALL_STEP:
        yield
        return
    with _lock:
        # Only the first of several simultaneous fits sees the caller's number.
        if _fits_on_one_thread == 0:
            _callers_threads = torch.get_num_threads()
        _fits_on_one_thread += 1
    torch.set_num_threads(1)
    try:
        yield
    finally:
        with _lock:
            _fits_on_one_thread -= 1
            torch.set_num_threads(_callers_threads)
