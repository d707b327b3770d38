"""Batches of rows."""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import torch
from skorch.dataset import Dataset
from torch import Tensor
from torch.utils.data import DataLoader


class Rows(Dataset):
    """Dataset of rows `X` and, as `y`, their weights (None: all one)."""

    def transform(self, X: Any, y: Any) -> tuple[Any, Any]:
        return X, torch.ones(()) if y is None else y


class TensorBatches:
    """Batches cut from one tensor, on the device where it lives.

    Parameters
    ----------
    dataset : Rows
        Rows and weights; arrays are taken as tensors without a copy.

    batch_size : int
        Rows in a batch; the last one of a pass may be smaller, or larger by one.

    shuffle : bool, default=False
        Whether each pass takes the rows in a new order.

    generator : torch.Generator, default=None
        Where the orders are drawn from.
    """

    def __init__(
        self,
        dataset: Rows,
        batch_size: int,
        shuffle: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        self.X = torch.as_tensor(dataset.X)
        self.weight = None if dataset.y is None else torch.as_tensor(dataset.y)
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.generator = generator

    def __len__(self) -> int:
        return math.ceil(len(self.X) / self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor | None]]:
        X, weight = self.X, self.weight
        if not self.shuffle:
            for start in range(0, len(X), self.batch_size):
                rows = slice(start, start + self.batch_size)
                yield X[rows], None if weight is None else weight[rows]
            return
        order = torch.randperm(len(X), generator=self.generator, device=X.device)
        starts = list(range(0, len(X), self.batch_size))
        if len(starts) > 1 and len(X) - starts[-1] == 1:
            # A batch of one row has no variance to normalise by: it joins another.
            starts.pop()
        for start, stop in itertools.pairwise([*starts, len(X)]):
            index = order[start:stop]
            yield X[index], None if weight is None else weight[index]


def make_batches(
    dataset: Rows, batch_size: int, **options: Any
) -> TensorBatches | DataLoader:
    """Iterate over a dataset: `TensorBatches`, or a `DataLoader` if its options ask.

    Collecting a batch row by row, as `DataLoader` does, takes longer than a training
    step of a small net; so it is used only when an option such as `num_workers` needs
    it.
    """
    if set(options) <= {"shuffle", "generator"}:
        return TensorBatches(dataset, batch_size, **options)
    # Its workers and its sampler want rows and generator on the CPU.
    seed = options["generator"].initial_seed()
    options["generator"] = torch.Generator().manual_seed(seed)
    weight = None if dataset.y is None else dataset.y.cpu()
    return DataLoader(Rows(dataset.X.cpu(), weight), batch_size=batch_size, **options)
