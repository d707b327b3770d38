"""Detection of duplicate rows."""

import numpy as np
from sklearn.utils import gen_batches

from skae.training._streaming import LargeTable, Matrix

# Number of values in a block of rows, so that blocks stay in the processor's cache.
_BLOCK_VALUES = 2**16


def row_hashes(X: Matrix, dtype: type = np.float32) -> np.ndarray:
    """Compute hashes that are the same for rows that are equal in float32.

    A net computes in float32, so it cannot distinguish such rows. 0.0 equals -0.0, and
    NaN after the end of a series equals NaN.

    Parameters
    ----------
    X : ndarray or LargeTable of shape (n_samples, n_features)
        Rows.

    dtype : {numpy.float32, numpy.float64}, default=numpy.float32
        Type in which rows are compared.

    Returns
    -------
    hashes : ndarray of shape (n_samples,)
        Unsigned 64-bit integers. They do not depend on the dtype of `X`, nor on the
        position of a row. Sparse and dense rows have different hashes.
    """
    n_rows, n_features = X.shape
    random = np.random.RandomState(0)
    keys = np.asarray(random.randint(2**63 - 1, size=n_features), np.uint64) | 1
    if isinstance(X, LargeTable) and X.sparse:
        array = X.array
        values = array.data.astype(dtype) + dtype(0)
        bits = values.view(f"u{values.itemsize}").astype(np.uint64)
        bits ^= bits >> 32
        bits ^= bits >> 16
        return type(array)((bits, array.indices, array.indptr), X.shape) @ keys
    in_word = 8 // np.dtype(dtype).itemsize
    n_words = -(-n_features // in_word)
    keys = keys[:n_words]
    size = max(1, _BLOCK_VALUES // n_features)
    block = np.zeros((min(size, n_rows), in_word * n_words), dtype=dtype)
    hashes = np.empty(n_rows, dtype=np.uint64)
    for rows in gen_batches(n_rows, size):
        values = block[: rows.stop - rows.start]
        values[:, :n_features] = X[rows]
        values += 0  # -0.0 becomes 0.0
        if np.isnan(values[:, n_features - 1]).any():  # series end early
            values[np.isnan(values)] = np.nan
        words = values.view(np.uint64)
        # Multiplication moves bits upwards only, so the highest bits are mixed into the
        # lower ones first.
        words ^= words >> 32
        words ^= words >> 16
        hashes[rows] = np.einsum("ij,j->i", words, keys)
    return hashes


def count_distinct(X: Matrix, enough: int | None = None) -> int:
    """Count the distinct rows, up to `enough` of them."""
    n_distinct = 0
    for rows in [X] if enough is None else [X[: 4 * enough], X]:
        n_distinct = count_different(row_hashes(rows))
        if enough is not None and n_distinct >= enough:
            return enough
    return n_distinct


def count_different(hashes: np.ndarray) -> int:
    """Count the different values among hashes."""
    return 1 + int((np.diff(np.sort(hashes)) > 0).sum())


def distinct_rows(hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Assign numbers to the distinct rows, in their order in the table.

    Parameters
    ----------
    hashes : ndarray of shape (n_samples,)
        Hashes of the rows.

    Returns
    -------
    index : ndarray of shape (n_distinct,)
        Index of the first occurrence of each distinct row.

    number : ndarray of shape (n_samples,)
        Number of the distinct row that each row equals.
    """
    ordered = np.sort(hashes)
    if (ordered[1:] != ordered[:-1]).all():  # several times as fast as np.unique
        return np.arange(len(hashes)), np.arange(len(hashes))
    _, index, number = np.unique(hashes, return_index=True, return_inverse=True)
    order = np.argsort(index)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return index[order], rank[number]


def ordered_distinct_rows(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Assign numbers to the distinct rows, independently of their order in `X`.

    Return `index` and `number`, as :func:`distinct_rows` does.
    """
    index, number = distinct_rows(row_hashes(X))
    rows = np.ascontiguousarray(X[index], dtype=np.float64) + 0.0  # no -0.0
    order = np.argsort(rows.view(f"V{rows.itemsize * rows.shape[1]}").ravel())
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return index[order], rank[number]


def distinct_pairs(
    X: np.ndarray, weight: np.ndarray | None, y: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the distinct rows, or pairs of a row with a target, and sum their weights.

    Their order does not depend on that of `X`: in training, a row with weight 2 and the
    row twice have the same result bit by bit.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows.

    weight : ndarray of shape (n_samples,) or None
        Weights; None: all one.

    y : ndarray of shape (n_samples,) or (n_samples, n_outputs), default=None
        Targets.

    Returns
    -------
    index : ndarray of shape (n_distinct,)
        Index of the first occurrence of each distinct row or pair.

    total : ndarray of shape (n_distinct,)
        Summed weights.

    number : ndarray of shape (n_distinct,)
        Numbers of the rows. They are equal for pairs that differ only in the target.
    """
    index, number = ordered_distinct_rows(X)
    row = np.arange(len(index))
    if y is not None:
        pairs = np.column_stack([number, y]) + 0.0  # -0.0 becomes 0.0
        _, index, number = np.unique(
            pairs, axis=0, return_index=True, return_inverse=True
        )
        row = pairs[index, 0].astype(int)
    total = np.bincount(number.ravel(), weights=weight).astype(np.float64)
    return index, total, row
