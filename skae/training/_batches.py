"""Batches of rows."""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from skorch.dataset import Dataset
from torch import Tensor
from torch.utils.data import DataLoader


class Rows(Dataset):
    """Dataset of rows `X` and, as `y`, their weights (None: all one).

    `X` is a tensor, or a pair of tensors: rows for the encoder, and the rows that the
    decoder is to give.
    """

    def transform(self, X: Any, y: Any) -> tuple[Any, Any]:
        return X, torch.ones(()) if y is None else y

    def average(self, losses: np.ndarray) -> float:
        """Weighted mean of the losses of the rows."""
        weight = None if self.y is None else self.y.cpu().numpy()
        return float(np.average(losses, weights=weight))


def _take(X: Any, index: Any) -> Any:
    return tuple(part[index] for part in X) if isinstance(X, tuple) else X[index]


class TensorBatches:
    """Batches cut from one tensor, or two, on the device where they live.

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
        X = dataset.X
        self.X = (
            tuple(map(torch.as_tensor, X))
            if isinstance(X, tuple)
            else torch.as_tensor(X)
        )
        self.n_rows = len(dataset)
        self.weight = None if dataset.y is None else torch.as_tensor(dataset.y)
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.generator = generator

    def __len__(self) -> int:
        return math.ceil(self.n_rows / self.batch_size)

    def __iter__(self) -> Iterator[tuple[Any, Tensor | None]]:
        X, weight, n_rows = self.X, self.weight, self.n_rows
        if not self.shuffle:
            for start in range(0, n_rows, self.batch_size):
                rows = slice(start, start + self.batch_size)
                yield _take(X, rows), None if weight is None else weight[rows]
            return
        device = X[0].device
        order = torch.randperm(n_rows, generator=self.generator, device=device)
        starts = list(range(0, n_rows, self.batch_size))
        if len(starts) > 1 and n_rows - starts[-1] == 1:
            # A batch of one row has no variance to normalise by: it joins another.
            starts.pop()
        for start, stop in itertools.pairwise([*starts, n_rows]):
            index = order[start:stop]
            yield _take(X, index), None if weight is None else weight[index]


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
    X = dataset.X
    X = tuple(part.cpu() for part in X) if isinstance(X, tuple) else X.cpu()
    return DataLoader(Rows(X, weight), batch_size=batch_size, **options)
