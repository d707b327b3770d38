"""Number of threads that a fit uses, and torch in forked processes."""

import multiprocessing
import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from threadpoolctl import get_cached_controller

from skae.training._tensor_net import TensorNet

# Operations of a step for each thread. With a third of them, a second thread gains
# nothing. While other processes use the cores, threads that wait for each other make a
# fit many times slower, so the gain must be worth that risk.
_OPERATIONS = 3e7

_default_threads = torch.get_num_threads()
_lock = threading.Lock()
_blocks = 0
_callers_threads = 1
_in_this_thread = threading.local()


def threads_for(net: TensorNet) -> AbstractContextManager[None]:
    """Return a context with as many threads as the training steps of a net keep busy.

    The number is at most that of the caller. It is one in a worker of a pool, because
    the pool already uses the cores.
    """
    if getattr(_in_this_thread, "in_block", False):
        return nullcontext()
    if _is_worker():
        return on_one_thread()
    n_parameters = sum(p.numel() for p in net.module_.parameters())
    # Each parameter is used in one product of the forward pass, and in two of the
    # backward pass.
    operations = 6 * n_parameters * net.batch_size
    return _at_most(max(1, int(operations // _OPERATIONS)))


def _is_worker() -> bool:
    """Return whether this is one of several parallel threads or processes."""
    if threading.current_thread() is not threading.main_thread():
        return True
    is_set = (
        "OMP_NUM_THREADS" in os.environ or torch.get_num_threads() != _default_threads
    )
    return multiprocessing.parent_process() is not None and not is_set


def on_one_thread() -> AbstractContextManager[None]:
    """Return a context in which torch and BLAS use one thread."""
    return _at_most(1)


@contextmanager
def _at_most(n_threads: int) -> Iterator[None]:
    """Run a block on at most `n_threads` threads of torch, or the caller's if fewer.

    In the block, the BLAS of NumPy and SciPy has one thread. The caller's numbers of
    threads are restored at the end. A nested block has no effect.
    """
    global _blocks, _callers_threads
    if getattr(_in_this_thread, "in_block", False):
        yield
        return
    with _lock:
        # Only the first of several simultaneous blocks sees the caller's number.
        if _blocks == 0:
            _callers_threads = torch.get_num_threads()
        _blocks += 1
    _in_this_thread.in_block = True
    torch.set_num_threads(min(n_threads, _callers_threads))
    try:
        # After a product, threads of OpenBLAS wait for the next one and occupy the
        # cores for a while. The threads of torch would have to share them.
        with get_cached_controller().limit(limits=1, user_api="blas"):
            yield
    finally:
        _in_this_thread.in_block = False
        with _lock:
            _blocks -= 1
            torch.set_num_threads(_callers_threads)


def _after_fork_in_child() -> None:
    """Set the number of threads to one in a forked child.

    The child does not have the threads that torch started in the parent, and OpenMP
    would wait for them forever.
    """
    global _lock, _blocks, _callers_threads, _default_threads
    _lock = threading.Lock()  # another thread may have held the old one
    _blocks = int(getattr(_in_this_thread, "in_block", False))
    _callers_threads = _default_threads = 1
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):  # Windows does not fork
    os.register_at_fork(after_in_child=_after_fork_in_child)
