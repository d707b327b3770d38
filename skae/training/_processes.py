"""Training in several processes, each of which takes its share of every batch.

`DistributedDataParallel` wraps a module and waits for autograd's hooks. The modules
here have methods of their own and gradients that are written out, so gradients are
summed where a step has them.
"""

import hashlib
from collections.abc import Iterable
from itertools import chain
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from skae.training._batches import take

if dist.is_available():
    # The optimizers of torch import this at their first step. It keeps the group that
    # exists when it is imported, so destroy_process_group() would not end the group's
    # threads, and these can abort the process while Python shuts down.
    import torch.distributed.nn

# So many rows from both ends tell whether the processes were given the same table.
_COMPARED_ROWS = 100


def begin_together(
    modules: Iterable[nn.Module | None],
    X: Any,
    sample_weight: Any,
    settings: dict[str, Any],
) -> None:
    """Check that all processes are to train on the same, and let them start as one.

    Parameters
    ----------
    modules : iterable of torch.nn.Module or None
        What is to be in the same state: that of the first process.

    X : tensor, pair of tensors or StreamedRows of shape (n_samples, n_features)
        Training rows.

    sample_weight : tensor of shape (n_samples,) or None
        Their weights.

    settings : dict
        What has to be equal in all processes.
    """
    if not (dist.is_available() and dist.is_initialized()):
        raise ValueError(
            "share_batches=True is for several processes, and this one knows of no "
            "others: start the script with torchrun, and call "
            "torch.distributed.init_process_group() before fit."
        )
    n_rows = len(X[0] if isinstance(X, tuple) else X)
    first = take(X, slice(_COMPARED_ROWS))
    last = take(X, slice(max(0, n_rows - _COMPARED_ROWS), n_rows))
    mine = {
        **settings,
        "rows": n_rows,
        "content": _digest(first, last),
        "sample_weight": None if sample_weight is None else _digest(sample_weight),
    }
    found: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(found, mine)
    unequal = [name for name in mine if any(each[name] != mine[name] for each in found)]
    if unequal:
        raise ValueError(
            "With share_batches=True, all processes are given the same rows and the "
            "same parameters, with an int as random_state: each takes its share of "
            f"every batch by itself. They differ in: {', '.join(unequal)}."
        )
    for module in modules:
        for tensor in [] if module is None else module.state_dict().values():
            dist.broadcast(tensor, src=0)


def _digest(*parts: Any) -> str:
    digest = hashlib.sha256()
    for tensor in chain.from_iterable(
        part if isinstance(part, tuple) else (part,) for part in parts
    ):
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


class Share:
    """What this process has of a batch.

    Parameters
    ----------
    n_rows : int
        Rows in the batch.
    """

    def __init__(self, n_rows: int) -> None:
        rank, size = dist.get_rank(), dist.get_world_size()
        start, stop = n_rows * rank // size, n_rows * (rank + 1) // size
        self._part = (stop - start) / n_rows
        # Not every module takes a batch without rows; this one then counts nothing.
        self._rows = slice(start, stop) if stop > start else slice(0, 1)

    def of(self, batch: Any) -> Any:
        """Give the rows of this process, of a tensor with a row for each of the batch.

        None stays None.
        """
        return None if batch is None else batch[self._rows]

    def sum(self, loss: Tensor, optimizers: Iterable[torch.optim.Optimizer]) -> Tensor:
        """Turn gradients into those of the whole batch, and give its loss."""
        gradients = [
            parameter.grad
            for optimizer in optimizers
            for group in optimizer.param_groups
            for parameter in group["params"]
            if parameter.grad is not None
        ]
        parts = [loss.detach().reshape(1), *(each.reshape(-1) for each in gradients)]
        total = torch.cat(parts) * self._part
        dist.all_reduce(total)
        for gradient, summed in zip(
            gradients,
            total[1:].split([each.numel() for each in gradients]),
            strict=True,
        ):
            gradient.copy_(summed.view_as(gradient))
        return total[0]


def own_generator(generator: torch.Generator) -> torch.Generator:
    """Give a generator for draws of this process alone.

    Whatever is drawn from it, `generator` goes on alike in all processes, and as in one
    that trains alone.
    """
    own = torch.Generator(generator.device)
    own.set_state(generator.get_state())
    seed = torch.randint(2**31, (), generator=own, device=own.device)
    return own.manual_seed(int(seed) + dist.get_rank())
