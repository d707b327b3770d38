"""Batches of rows."""

import itertools
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from skorch.dataset import Dataset
from torch import Tensor
from torch.utils.data import DataLoader

from skae.training import _streaming
from skae.training._streaming import StreamedRows, n_rows_in


class Rows(Dataset):
    """Dataset of rows `X` and, as `y`, their weights (None: all one).

    `X` is a tensor, a pair of tensors (inputs of the encoder and targets of the
    decoder), or :class:`StreamedRows` of one or two tables.
    """

    @property
    def weight(self) -> Tensor | None:
        """Weights of the rows: skorch calls them `y`."""
        return self.y

    @property
    def inputs(self) -> Any:
        """Input rows of the encoder."""
        return self.X[0] if isinstance(self.X, tuple) else self.X

    @property
    def targets(self) -> Any:
        """Target rows of the decoder."""
        return self.X[1] if isinstance(self.X, tuple) else self.X

    def batches(self, n_rows: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield pairs of inputs and targets in order, `n_rows` at a time."""
        if isinstance(self.X, tuple):
            yield from zip(*(part.split(n_rows) for part in self.X), strict=True)
            return
        for batch in self.X.split(n_rows):
            yield batch if isinstance(batch, tuple) else (batch, batch)

    def transform(self, X: Any, y: Any) -> tuple[Any, Any]:
        return X, torch.ones((), dtype=torch.float32) if y is None else y

    def average(self, losses: np.ndarray) -> float:
        """Compute the weighted mean of the losses of the rows."""
        weight = None if self.weight is None else self.weight.cpu().numpy()
        return float(np.average(losses, weights=weight))

    def in_memory(self) -> "Rows":
        """Return the rows as tensors; a sample of them if there are too many."""
        if not isinstance(self.X, StreamedRows):
            return self
        index = self.X.sample
        return Rows(
            self.X.in_memory(), None if self.weight is None else self.weight[index]
        )


def batch_ends(n_rows: int, batch_size: int, join_last: bool) -> list[int]:
    """Return where batches begin, and where the last one ends.

    Batch normalisation fails for a last batch of one row: `join_last` adds this row to
    the batch before.
    """
    starts = list(range(0, n_rows, batch_size))
    if join_last and len(starts) > 1 and n_rows - starts[-1] == 1:
        starts.pop()
    return [*starts, n_rows]


def take(X: Any, index: Any) -> Any:
    """Copy rows of a tensor, of each tensor of a pair, or of streamed rows.

    A copy, because callbacks and modules of the user may change a batch.
    """
    if isinstance(X, tuple):
        return tuple(take(part, index) for part in X)
    if isinstance(X, StreamedRows):
        return X[index]
    # Twice as fast as indexing.
    return X[index].clone() if isinstance(index, slice) else X.index_select(0, index)


class TensorBatches:
    """Batches cut from one or two tensors, on the device of these tensors.

    They may also be cut from streamed rows of tables in memory.

    Parameters
    ----------
    dataset : Rows
        Rows and weights; arrays are taken as tensors without a copy.

    batch_size : int
        Rows in a batch. The last batch of a pass may be smaller, or larger by one.

    shuffle : bool, default=False
        Whether each pass takes the rows in a new order.

    generator : torch.Generator, default=None
        Source of the random orders.
    """

    def __init__(
        self,
        dataset: Rows,
        batch_size: int,
        shuffle: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        X = dataset.X
        if isinstance(X, tuple):
            X = tuple(map(torch.as_tensor, X))
        self.X = X if isinstance(X, StreamedRows | tuple) else torch.as_tensor(X)
        self.n_rows = len(dataset)
        self.weight = (
            None if dataset.weight is None else torch.as_tensor(dataset.weight)
        )
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
                yield take(X, rows), None if weight is None else take(weight, rows)
            return
        device = (X[0] if isinstance(X, tuple) else X).device
        order = torch.randperm(n_rows, generator=self.generator, device=device)
        ends = batch_ends(n_rows, self.batch_size, join_last=True)
        for start, stop in itertools.pairwise(ends):
            index = order[start:stop]
            yield take(X, index), None if weight is None else weight[index]


# Bytes of neighbouring rows of a dense table that are read together.
_CHUNK_BYTES = 2**20


class StreamedBatches:
    """Batches of rows that are read while training uses others.

    To shuffle the rows, the table is cut into chunks of neighbouring rows (single rows
    of a sparse matrix). Each pass puts the chunks into a new order, reads chunks until
    a buffer is full, and takes the rows of the buffer in random order. Meanwhile, a
    thread reads the next buffer.

    Parameters
    ----------
    dataset : Rows
        Streamed rows and their weights.

    batch_size, shuffle, generator
        As in :class:`TensorBatches`.
    """

    def __init__(
        self,
        dataset: Rows,
        batch_size: int,
        shuffle: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        self.X: StreamedRows = dataset.X
        self.weight = dataset.weight
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.generator = generator

    def __len__(self) -> int:
        return math.ceil(len(self.X) / self.batch_size)

    def __iter__(self) -> Iterator[tuple[Any, Tensor | None]]:
        n_rows, n_features = self.X.shape
        order = self._order(n_rows, n_features)
        ends = batch_ends(n_rows, self.batch_size, join_last=self.shuffle)
        # A buffer holds whole batches.
        n_batches = max(
            1, n_rows_in(_streaming.BLOCK_BYTES, n_features) // self.batch_size
        )
        buffers = [
            ends[i : i + n_batches + 1] for i in range(0, len(ends) - 1, n_batches)
        ]
        with ThreadPoolExecutor(1) as pool:

            def read(ends: list[int]) -> Any:
                rows = np.sort(order[ends[0] : ends[-1]])
                return rows, pool.submit(self.X.__getitem__, rows)

            following = read(buffers[0])
            for i, ends in enumerate(buffers):
                rows, reading = following
                x = reading.result()
                if i + 1 < len(buffers):
                    following = read(buffers[i + 1])
                weight = None
                if self.weight is not None:
                    weight = self.weight[torch.from_numpy(rows)]
                inside = self._permutation(len(rows)) if self.shuffle else None
                for start, stop in itertools.pairwise([e - ends[0] for e in ends]):
                    index: Any = slice(start, stop)
                    if inside is not None:
                        index = inside[index].to(self.X.device)
                    yield take(x, index), None if weight is None else weight[index]

    def _order(self, n_rows: int, n_features: int) -> np.ndarray:
        if not self.shuffle:
            return np.arange(n_rows)
        if self.X.sparse:
            return self._permutation(n_rows).numpy(force=True)
        size = n_rows_in(_CHUNK_BYTES, n_features)
        chunks = self._permutation(math.ceil(n_rows / size)).numpy(force=True)
        starts = chunks[:, None] * size + np.arange(size)
        return starts[starts < n_rows]

    def _permutation(self, n: int) -> Tensor:
        device = None if self.generator is None else self.generator.device
        return torch.randperm(n, generator=self.generator, device=device)


def make_batches(
    dataset: Rows, batch_size: int, **options: Any
) -> TensorBatches | StreamedBatches | DataLoader:
    """Return an iterable of batches, a `DataLoader` only if there are options for it.

    `DataLoader` collects a batch row by row, which takes longer than a training step of
    a small net. So it is used only if an option such as `num_workers` needs it.
    """
    if set(options) <= {"shuffle", "generator"}:
        large = isinstance(dataset.X, StreamedRows) and dataset.X.large
        batches = StreamedBatches if large else TensorBatches
        return batches(dataset, batch_size, **options)
    # Workers and sampler of a DataLoader need rows and generator on the CPU.
    seed = options["generator"].initial_seed()
    options["generator"] = torch.Generator().manual_seed(seed)
    weight = None if dataset.weight is None else dataset.weight.cpu()
    X = dataset.X
    X = tuple(part.cpu() for part in X) if isinstance(X, tuple) else X.cpu()
    return DataLoader(Rows(X, weight), batch_size=batch_size, **options)
