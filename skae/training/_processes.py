"""Training in several processes, each of which computes its share of every batch.

`DistributedDataParallel` wraps a module and relies on hooks of autograd. The modules of
skae have further methods, and some of their gradients are computed without autograd. So
the gradients are summed explicitly in each step.
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
    # The optimizers of torch import this module at their first step. It keeps a
    # reference to the group that exists at its import. Then destroy_process_group()
    # would not end the threads of the group, and they can abort the process while
    # Python shuts down. An early import avoids this.
    import torch.distributed.nn

# Number of rows at both ends of the table that the processes compare.
_COMPARED_ROWS = 100


def begin_together(
    modules: Iterable[nn.Module | None],
    X: Any,
    sample_weight: Any,
    settings: dict[str, Any],
) -> None:
    """Check that all processes have the same data and settings, and equalise modules.

    Parameters
    ----------
    modules : iterable of torch.nn.Module or None
        Modules that get the state that they have in the first process.

    X : tensor, pair of tensors or StreamedRows of shape (n_samples, n_features)
        Training rows.

    sample_weight : tensor of shape (n_samples,) or None
        Weights of the rows.

    settings : dict
        Settings that must be equal in all processes.
    """
    if not (dist.is_available() and dist.is_initialized()):
        raise ValueError(
            "share_batches=True needs several processes, but torch.distributed is not "
            "initialized: start the script with torchrun, and call "
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
            "share_batches=True needs the same rows and the same parameters in all "
            "processes, with an int as random_state: each process selects its share of "
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
    """The share of a batch that this process computes.

    Parameters
    ----------
    n_rows : int
        Number of rows in the batch.
    """

    def __init__(self, n_rows: int) -> None:
        rank, size = dist.get_rank(), dist.get_world_size()
        start, stop = n_rows * rank // size, n_rows * (rank + 1) // size
        self._part = (stop - start) / n_rows
        # Some modules do not accept a batch without rows. A process without rows
        # computes one row, with a weight of zero.
        self._rows = slice(start, stop) if stop > start else slice(0, 1)

    def of(self, batch: Any) -> Any:
        """Return the rows of this process from a tensor of the batch, if not None."""
        return None if batch is None else batch[self._rows]

    def sum(self, loss: Tensor, optimizers: Iterable[torch.optim.Optimizer]) -> Tensor:
        """Sum gradients over the processes, and return the loss of the whole batch."""
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
    """Build a generator for draws of this process only.

    Draws from it do not change `generator`. So `generator` has the same state in all
    processes, and the same as in training with a single process.
    """
    own = torch.Generator(generator.device)
    own.set_state(generator.get_state())
    seed = torch.randint(2**31, (), generator=own, device=own.device)
    return own.manual_seed(int(seed) + dist.get_rank())
