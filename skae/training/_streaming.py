"""Tables as tensors: whole, or block by block where no dense copy is to be made."""

import math
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from numbers import Integral
from typing import Any, Self

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.utils import gen_batches
from sklearn.utils.random import sample_without_replacement
from torch import Tensor

# No dense copy is made of tables that are larger in float32.
DENSE_BYTES = 2**29
SPARSE_BYTES = 2**26
# Bytes that are read at once.
BLOCK_BYTES = 2**26
# Enough rows for the statistics of columns and the axes of PCA.
SAMPLE_BYTES = 2**27


def float_tensor(
    X: np.ndarray, device: torch.device | str = "cpu", copy: bool = False
) -> torch.Tensor:
    """Rows as a float32 tensor, sharing memory where it can unless `copy`."""
    rows = np.ascontiguousarray(X, dtype=np.float32)
    # torch cannot express that an array is read-only.
    if not rows.flags.writeable or (copy and np.shares_memory(rows, X)):
        rows = rows.copy()
    return torch.from_numpy(rows).to(device)


def is_large(X: Any) -> bool:
    """Whether a table is too large for a dense copy in float32."""
    shape: Any = getattr(X, "shape", ())
    if len(shape) != 2:
        return False
    return 4 * shape[0] * shape[1] > (SPARSE_BYTES if issparse(X) else DENSE_BYTES)


def n_rows_in(n_bytes: int, n_features: int) -> int:
    """How many dense rows in float32 take so much memory; one at least."""
    return max(1, n_bytes // (4 * n_features))


class SelectedRows:
    """Some rows of an array, of which a copy is made only where they are asked for.

    Parameters
    ----------
    array : ndarray of shape (n_samples, n_features)
        The array.

    index : ndarray of shape (n_rows,), default=None
        Numbers of the rows that count, in order; None: all.
    """

    def __init__(self, array: Any, index: np.ndarray | None = None) -> None:
        self.array = array
        self.index = index

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns."""
        return len(self), self.array.shape[1]

    def __len__(self) -> int:
        return self.array.shape[0] if self.index is None else len(self.index)

    @property
    def dtype(self) -> np.dtype:
        """That of the array."""
        return self.array.dtype

    def __getitem__(self, rows: Any) -> np.ndarray:
        index = rows if self.index is None else self.index[rows]
        if isinstance(index, slice):
            return self.array[index]
        # Several times as fast as by brackets where rows are narrow.
        return self.array.take(index, axis=0)

    def take(self, index: np.ndarray) -> Self:
        """Return the rows numbered, in that order, again without a copy."""
        if self.index is not None:
            index = self.index[index]
        return type(self)(self.array, index)

    @property
    def sparse(self) -> bool:
        """Whether the array is a sparse matrix."""
        return issparse(self.array)

    @property
    def sample(self) -> np.ndarray:
        """Numbers of all rows: they are in memory."""
        return np.arange(len(self))


class LargeTable(SelectedRows):
    """Rows of a dense array, maybe on disk, or of a sparse matrix.

    Indexing gives dense rows, which are all that is in memory of them.

    Parameters
    ----------
    array : ndarray or CSR matrix of shape (n_samples, n_features)
        The table. Of an array in a memory-mapped file, only what is asked for is read.

    index : ndarray of shape (n_rows,), default=None
        Numbers of the rows that count, in order; None: all.
    """

    def __init__(self, array: Any, index: np.ndarray | None = None) -> None:
        super().__init__(array, index)
        self._file = _mapped_file(array)
        self._file_size = 0 if self._file is None else os.stat(self._file).st_size

    @property
    def dtype(self) -> np.dtype:
        """What the rows are in scikit-learn's eyes: all but float32 is float64."""
        single = self.array.dtype == np.float32
        return np.dtype(np.float32 if single else np.float64)

    def __getitem__(self, rows: Any) -> np.ndarray:
        self._check_file()
        part = self.array[rows if self.index is None else self.index[rows]]
        part = part.toarray() if issparse(part) else np.asarray(part)
        return part.astype(self.dtype, copy=False)

    def _check_file(self) -> None:
        # Reading beyond the end of a file would end the process.
        if self._file is None:
            return
        size = os.stat(self._file).st_size if os.path.exists(self._file) else 0
        if size < self._file_size:
            raise ValueError(
                f"The file that X is mapped from, {self._file}, had "
                f"{self._file_size:,} bytes and now has {size:,}. It must stay as it "
                "is while the estimator works: write the table again, and map it anew."
            )

    def take(self, index: np.ndarray) -> "LargeTable":
        """Return the table of the rows numbered, in that order."""
        return LargeTable(self.array[index]) if self.sparse else super().take(index)

    def values(self) -> Iterator[np.ndarray]:
        """Yield all values, block by block; a sparse matrix yields those it stores."""
        if self.sparse:
            yield self.array.data
            return
        n_rows = n_rows_in(BLOCK_BYTES, self.shape[1])
        for start in range(0, len(self), n_rows):
            yield self[start : start + n_rows]

    @cached_property
    def sample(self) -> np.ndarray:
        """Numbers of rows that stand for all where all would be too many."""
        size = n_rows_in(SAMPLE_BYTES, self.shape[1])
        if size >= len(self):
            return np.arange(len(self))
        return np.sort(sample_without_replacement(len(self), size, random_state=0))


def as_selected(X: np.ndarray | SelectedRows) -> SelectedRows:
    """Return all rows of an array, if they are not selected rows already."""
    return X if isinstance(X, SelectedRows) else SelectedRows(X)


# Rows as NumPy has them: an array, some rows of it, or read block by block.
Matrix = np.ndarray | SelectedRows


def _mapping(array: Any) -> Any:
    """Return the map of a file that an array is a part of; None if it is in memory."""
    found = None
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap) and array.filename is not None:
            found = array  # the last one is of the whole map
        array = array.base
    return found


def _mapped_file(array: Any) -> Any:
    """Path of the file that an array is mapped from; None if it is in memory."""
    mapping = _mapping(array)
    return None if mapping is None else mapping.filename


# Bound of the work of NumPy to find whether arrays overlap. Two axes need less.
_MAX_WORK = 100_000


def share_memory(X: Matrix, out: Any) -> bool:
    """Whether writing results into an array row by row would change rows to come.

    The same rows in the same place are no trouble: they are read before.
    """
    array: Any = X
    if isinstance(X, LargeTable):
        if X.sparse:
            return False
        array = X.array if X.index is None else X.array[X.index]
    if _place(array) == _place(out.reshape(len(out), -1)):
        return False
    try:
        overlap = np.shares_memory(array, out, max_work=_MAX_WORK)  # type: ignore
    except np.exceptions.TooHardError:
        overlap = True
    return overlap or _same_bytes_of_file(array, out)


def _place(array: np.ndarray) -> tuple[Any, ...]:
    return array.ctypes.data, array.dtype, array.shape, array.strides


def _span(array: np.ndarray) -> tuple[int, int]:
    """Return the addresses that the entries of an array lie between."""
    start = array.ctypes.data
    steps = [s * (n - 1) for s, n in zip(array.strides, array.shape, strict=True)]
    low, high = (sum(f(0, step) for step in steps) for f in (min, max))
    return start + low, start + high + array.itemsize


def _same_bytes_of_file(array: np.ndarray, other: np.ndarray) -> bool:
    """Whether two arrays are mapped from a file, and their parts of it overlap."""
    spans: list[Any] = []
    for each in (array, other):
        mapping = _mapping(each)
        if mapping is None:
            return False
        shift = mapping.offset - _span(mapping)[0]
        spans.append((mapping.filename, *(end + shift for end in _span(each))))
    (path, start, stop), (other_path, other_start, other_stop) = spans
    same_file = os.path.exists(path) and os.path.samefile(path, other_path)
    return same_file and start < other_stop and other_start < stop


class StreamedRows:
    """A table as tensors, of which only those exist that are asked for.

    Parameters
    ----------
    table : SelectedRows
        The table.

    device : torch.device or str
        Where the tensors go.

    targets : SelectedRows, default=None
        A second table. Indexing then returns pairs of tensors.
    """

    def __init__(
        self,
        table: SelectedRows,
        device: torch.device | str,
        targets: SelectedRows | None = None,
    ) -> None:
        self.tables = (table,) if targets is None else (table, targets)
        self.device = torch.device(device)

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns."""
        return self.tables[0].shape

    @property
    def large(self) -> bool:
        """Whether neighbouring rows are to be read together."""
        return any(isinstance(table, LargeTable) for table in self.tables)

    @property
    def sparse(self) -> bool:
        """Whether the tables are sparse matrices."""
        return all(table.sparse for table in self.tables)

    @property
    def sample(self) -> np.ndarray:
        """Numbers of rows that stand for all where all would be too many."""
        return self.tables[0].sample

    def __len__(self) -> int:
        return len(self.tables[0])

    def __getitem__(self, rows: Any) -> Any:
        if isinstance(rows, Integral):  # a csr_matrix would return a table
            part = self[[rows]]
            return tuple(e[0] for e in part) if isinstance(part, tuple) else part[0]
        if isinstance(rows, Tensor):
            rows = rows.numpy(force=True)
        parts = tuple(
            self._tensor(table[rows], isinstance(rows, slice)) for table in self.tables
        )
        return parts if len(parts) > 1 else parts[0]

    def _tensor(self, X: np.ndarray, is_slice: bool) -> Tensor:
        # A slice may be a view of the user's own memory, which a module may write to.
        x = float_tensor(X, copy=is_slice and X.base is not None)
        if self.device.type == "cuda":
            x = x.pin_memory().to(self.device, non_blocking=True)
        return x.to(self.device)

    def in_memory(self) -> Any:
        """Return the rows of `sample` as indexing does, but read block by block."""
        index = self.sample
        parts = tuple(
            torch.empty(len(index), n_columns, dtype=torch.float32, device=self.device)
            for _, n_columns in (table.shape for table in self.tables)
        )
        size = n_rows_in(BLOCK_BYTES // 8, self.shape[1])
        for rows in gen_batches(len(index), size):
            block = self[index[rows]]
            for part, of in zip(
                parts, block if len(parts) > 1 else (block,), strict=True
            ):
                part[rows] = of
        return parts if len(parts) > 1 else parts[0]

    def split(self, n_rows: int) -> Iterator[Any]:
        """Yield all rows, `n_rows` at a time, or fewer where they are wide."""
        n_rows = min(n_rows, n_rows_in(BLOCK_BYTES, self.shape[1]))
        for start in range(0, len(self), n_rows):
            yield self[start : start + n_rows]

    def cpu(self) -> "StreamedRows":
        """Return the same rows as tensors on the CPU."""
        return StreamedRows(self.tables[0], "cpu", *self.tables[1:])


def device_rows(table: LargeTable, device: torch.device) -> Tensor | StreamedRows:
    """Return the tensor of a table if a GPU has room for it; else stream its rows."""
    rows = StreamedRows(table, device)
    if device.type != "cuda":
        return rows
    free, _ = torch.cuda.mem_get_info(device)
    if 4 * math.prod(table.shape) > free // 2:
        return rows
    return torch.cat(list(rows.split(n_rows_in(BLOCK_BYTES, table.shape[1]))))


@torch.no_grad()
def mapped(
    function: Callable[[Tensor], Tensor], X: Tensor | StreamedRows, n_rows: int
) -> Tensor | StreamedRows:
    """Apply a function to rows, `n_rows` at a time, and keep the results.

    Those of streamed rows go into a temporary file if they are large, too.
    """
    batches: Iterable[Tensor] = (function(x) for x in X.split(n_rows))
    if isinstance(X, Tensor):
        return torch.cat(list(batches))
    shape = (len(X), function(X[:1]).shape[1])
    if 4 * math.prod(shape) <= DENSE_BYTES:
        return torch.cat(list(batches))
    with tempfile.TemporaryFile() as file:  # it goes when the last map of it does
        results = np.memmap(file, dtype=np.float32, mode="w+", shape=shape)
    start = 0
    for batch in batches:
        results[start : start + len(batch)] = batch.cpu().numpy()
        start += len(batch)
    return StreamedRows(LargeTable(results), X.device)
