"""Tables as tensors: whole, or block by block to avoid a dense copy."""

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

# Tables that are larger in float32 are not copied to a dense table.
DENSE_BYTES = 2**29
SPARSE_BYTES = 2**26
# Number of bytes read at once.
BLOCK_BYTES = 2**26
# Bytes of rows that suffice for the statistics of columns and the axes of PCA.
SAMPLE_BYTES = 2**27


def float_tensor(
    X: np.ndarray, device: torch.device | str = "cpu", copy: bool = False
) -> torch.Tensor:
    """Return rows as a float32 tensor, which may share their memory unless `copy`."""
    rows = np.ascontiguousarray(X, dtype=np.float32)
    # torch cannot express that an array is read-only.
    if not rows.flags.writeable or (copy and np.shares_memory(rows, X)):
        rows = rows.copy()
    return torch.from_numpy(rows).to(device)


def is_large(X: Any) -> bool:
    """Return whether a table is too large for a dense copy in float32."""
    shape: Any = getattr(X, "shape", ())
    if len(shape) != 2:
        return False
    return 4 * shape[0] * shape[1] > (SPARSE_BYTES if issparse(X) else DENSE_BYTES)


def n_rows_in(n_bytes: int, n_features: int) -> int:
    """Return the number of dense float32 rows in `n_bytes`, at least one."""
    return max(1, n_bytes // (4 * n_features))


class SelectedRows:
    """Some rows of an array, copied only when they are indexed.

    Parameters
    ----------
    array : ndarray of shape (n_samples, n_features)
        The array.

    index : ndarray of shape (n_rows,), default=None
        Indices of the rows to use, in order. None: all rows.
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
        """Dtype of the array."""
        return self.array.dtype

    def __getitem__(self, rows: Any) -> np.ndarray:
        index = rows if self.index is None else self.index[rows]
        if isinstance(index, slice):
            return self.array[index]
        # Several times faster than indexing if rows are narrow.
        return self.array.take(index, axis=0)

    def take(self, index: np.ndarray) -> Self:
        """Return rows by their indices, in this order, again without a copy."""
        if self.index is not None:
            index = self.index[index]
        return type(self)(self.array, index)

    @property
    def sparse(self) -> bool:
        """Whether the array is a sparse matrix."""
        return issparse(self.array)

    @property
    def sample(self) -> np.ndarray:
        """Indices of all rows, because they are in memory."""
        return np.arange(len(self))


class LargeTable(SelectedRows):
    """Rows of a dense array, which may be on disk, or of a sparse matrix.

    Indexing returns dense rows. Only these rows are in memory.

    Parameters
    ----------
    array : ndarray or CSR matrix of shape (n_samples, n_features)
        The table. Only indexed rows of a memory-mapped array are read.

    index : ndarray of shape (n_rows,), default=None
        Indices of the rows to use, in order. None: all rows.
    """

    def __init__(self, array: Any, index: np.ndarray | None = None) -> None:
        super().__init__(array, index)
        self._file = _mapped_file(array)
        self._file_size = 0 if self._file is None else os.stat(self._file).st_size

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the rows in scikit-learn: float64 for all but float32."""
        single = self.array.dtype == np.float32
        return np.dtype(np.float32 if single else np.float64)

    def __getitem__(self, rows: Any) -> np.ndarray:
        self._check_file()
        part = self.array[rows if self.index is None else self.index[rows]]
        part = part.toarray() if issparse(part) else np.asarray(part)
        return part.astype(self.dtype, copy=False)

    def _check_file(self) -> None:
        # Reading beyond the end of a mapped file would kill the process.
        if self._file is None:
            return
        size = os.stat(self._file).st_size if os.path.exists(self._file) else 0
        if size < self._file_size:
            raise ValueError(
                f"X is memory-mapped from {self._file}, which had "
                f"{self._file_size:,} bytes and now has {size:,}. The file must not "
                "change while an estimator uses X. Write and map the table again."
            )

    def take(self, index: np.ndarray) -> "LargeTable":
        """Return the table of the rows with these indices, in this order."""
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
        """Indices of all rows, or of a sample that fits in memory."""
        size = n_rows_in(SAMPLE_BYTES, self.shape[1])
        if size >= len(self):
            return np.arange(len(self))
        return np.sort(sample_without_replacement(len(self), size, random_state=0))


def as_selected(X: np.ndarray | SelectedRows) -> SelectedRows:
    """Return all rows of an array as selected rows; selected rows are unchanged."""
    return X if isinstance(X, SelectedRows) else SelectedRows(X)


# Rows as NumPy arrays: an array, some of its rows, or a table read block by block.
Matrix = np.ndarray | SelectedRows


def _mapping(array: Any) -> Any:
    """Return the memory map that an array is a part of; None if it is in memory."""
    found = None
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap) and array.filename is not None:
            found = array  # the last base is the whole map
        array = array.base
    return found


def _mapped_file(array: Any) -> Any:
    """Return the path of the file of a mapped array; None if it is in memory."""
    mapping = _mapping(array)
    return None if mapping is None else mapping.filename


# Limit of NumPy's search for overlaps of arrays. Arrays of two axes need less.
_MAX_WORK = 100_000


def share_memory(X: Matrix, out: Any) -> bool:
    """Return whether writing results to `out` row by row would change later rows.

    The same rows in the same place are safe, because they are read before.
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
    """Return the first and the last address of the entries of an array."""
    start = array.ctypes.data
    steps = [s * (n - 1) for s, n in zip(array.strides, array.shape, strict=True)]
    low, high = (sum(f(0, step) for step in steps) for f in (min, max))
    return start + low, start + high + array.itemsize


def _same_bytes_of_file(array: np.ndarray, other: np.ndarray) -> bool:
    """Return whether two arrays are mapped from overlapping parts of one file."""
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
    """A table whose rows become tensors when they are indexed.

    Parameters
    ----------
    table : SelectedRows
        The table.

    device : torch.device or str
        Device of the tensors.

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
        """Whether neighbouring rows should be read together."""
        return any(isinstance(table, LargeTable) for table in self.tables)

    @property
    def sparse(self) -> bool:
        """Whether the tables are sparse matrices."""
        return all(table.sparse for table in self.tables)

    @property
    def sample(self) -> np.ndarray:
        """Indices of all rows, or of a sample that fits in memory."""
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
        # A slice may be a view of the user's memory, and a module may write to it.
        x = float_tensor(X, copy=is_slice and X.base is not None)
        if self.device.type == "cuda":
            x = x.pin_memory().to(self.device, non_blocking=True)
        return x.to(self.device)

    def in_memory(self) -> Any:
        """Return the rows of `sample` like indexing, but read them block by block."""
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
        """Yield all rows, `n_rows` at a time, or fewer if they are wide."""
        n_rows = min(n_rows, n_rows_in(BLOCK_BYTES, self.shape[1]))
        for start in range(0, len(self), n_rows):
            yield self[start : start + n_rows]

    def cpu(self) -> "StreamedRows":
        """Return the same rows as tensors on the CPU."""
        return StreamedRows(self.tables[0], "cpu", *self.tables[1:])


def device_rows(table: LargeTable, device: torch.device) -> Tensor | StreamedRows:
    """Return a table as a tensor if a GPU has room for it, else stream its rows."""
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

    Large results of streamed rows are written to a temporary file.
    """
    batches: Iterable[Tensor] = (function(x) for x in X.split(n_rows))
    if isinstance(X, Tensor):
        return torch.cat(list(batches))
    shape = (len(X), function(X[:1]).shape[1])
    if 4 * math.prod(shape) <= DENSE_BYTES:
        return torch.cat(list(batches))
    with tempfile.TemporaryFile() as file:  # it is deleted with its last map
        results = np.memmap(file, dtype=np.float32, mode="w+", shape=shape)
    start = 0
    for batch in batches:
        results[start : start + len(batch)] = batch.cpu().numpy()
        start += len(batch)
    return StreamedRows(LargeTable(results), X.device)
