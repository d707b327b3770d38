"""Rows that a sampler receives and draws: numbers, or tables of mixed columns."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_array

from skae._frames import frame_like
from skae._inputs import plain
from skae._sklearn_compat import safe_indexing
from skae._table_autoencoder import TableAutoencoder
from skae._wrapped import steps_of
from skae.training import n_rows_in

# More rows would make the fit of the mixture slower, but not better.
MAX_ROWS = 4_000
_MAX_BYTES = 2**27


@dataclass(frozen=True)
class NumberRows:
    """Rows of numbers; each column is drawn as a number.

    Parameters
    ----------
    autoencoder : estimator
        The fitted autoencoder, or another transformer with an inverse.

    frame : dict or None
        Description of the frame of the rows; see :func:`skae._frames.frame_type`.

    shape : tuple of int
        Shape of a row.

    dtype : str
        Dtype of the rows.
    """

    autoencoder: Any
    frame: dict[str, Any] | None
    shape: tuple[int, ...]
    dtype: str

    # Whether values may be missing.
    allow_nan: ClassVar[bool] = False
    # Least variance of the components of a mixture of codes, as in GaussianMixture.
    reg_covar: ClassVar[float] = 1e-6

    @staticmethod
    def read(X: Any) -> Any:
        """Convert tensors to arrays, and a list of rows to one array."""
        X = plain(X)
        if hasattr(X, "shape"):
            return X
        try:
            return np.asarray(X)
        except ValueError as error:
            raise ValueError(
                "AutoencoderSampler needs rows, series or images that all have the "
                f"same shape. Got a list with several shapes. {error}"
            ) from error

    @staticmethod
    def checked(rows: Any, estimator: Any) -> Any:
        """Return rows as a dense array; raise ValueError if a value is missing."""
        values: Any = check_array(
            rows,
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            allow_nd=True,
            ensure_all_finite="allow-nan",
            ensure_min_samples=2,  # a single row has no variance
            estimator=estimator,
        )
        if not isinstance(values, np.ndarray):
            values = values.toarray()
        if np.isnan(values).any():
            raise ValueError(
                "Input X contains NaN, and AutoencoderSampler draws from whole rows. "
                "Fill in missing values first, for instance with AutoencoderImputer, "
                "leave out such rows, or use TableAutoencoder. Series must have equal "
                "length."
            )
        return values

    @staticmethod
    def describe(rows: Any) -> tuple[tuple[int, ...], str]:
        """Return the shape of a row and the dtype of checked rows."""
        return rows.shape[1:], rows.dtype.name

    @property
    def n_columns(self) -> int:
        """Number of columns of the matrix."""
        return math.prod(self.shape)

    @property
    def numbers(self) -> Any:
        """Which columns of the matrix are numbers."""
        return slice(None)

    @property
    def categories(self) -> list[slice]:
        """Columns of the matrix that are the probabilities of each category."""
        return []

    def codes(self, rows: Any) -> np.ndarray:
        """Encode rows."""
        return np.asarray(self.autoencoder.transform(rows), dtype=np.float64)

    def matrix(self, rows: Any) -> np.ndarray:
        """Return checked rows as a matrix, with NaN where a value is missing."""
        return rows.reshape(len(rows), -1)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Decode codes to a matrix."""
        rows = np.asarray(self.autoencoder.inverse_transform(codes))
        return rows.reshape(len(rows), -1)

    def restore(self, matrix: np.ndarray, rng: np.random.RandomState) -> Any:
        """Return a matrix as rows like those of `fit`."""
        if self.frame is not None:
            return frame_like(matrix, self.frame)
        rows = matrix.astype(self.dtype, copy=False)
        return rows.reshape(len(rows), *self.shape)


class MixedRows(NumberRows):
    """Rows of a table, whose autoencoder is a `TableAutoencoder` or ends in one.

    The matrix is that of its encoder: categories have columns of probabilities, and
    their levels are drawn.
    """

    allow_nan = True
    # Rows with the same categories have nearly the same codes. A component that shrinks
    # to such a clump would miss the codes between clumps.
    reg_covar = 1e-2

    @staticmethod
    def read(X: Any) -> Any:
        return plain(X, fill_masked=True)

    @staticmethod
    def checked(rows: Any, estimator: Any) -> Any:
        if len(rows) < 2:
            raise ValueError(
                f"Found {len(rows)} sample(s), and AutoencoderSampler needs at least 2."
            )
        return rows

    @staticmethod
    def describe(rows: Any) -> tuple[tuple[int, ...], str]:
        return _shape(rows)[1:], "object"

    @property
    def _model(self) -> TableAutoencoder:
        return steps_of(self.autoencoder)[-1]

    @property
    def n_columns(self) -> int:
        return self._model._n_inputs

    @property
    def numbers(self) -> Any:
        return [
            block.columns.start
            for block in self._model.encoder_.blocks_
            if block.kind in ("number", "date")
        ]

    @property
    def categories(self) -> list[slice]:
        blocks = self._model.encoder_._blocks_with_values()
        return [block.columns for block in blocks if block.kind == "category"]

    def matrix(self, rows: Any) -> np.ndarray:
        for step in steps_of(self.autoencoder)[:-1]:
            rows = step.transform(rows)
        return np.asarray(self._model._check_new_rows(rows)[:], dtype=np.float64)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        return self._model._decode(codes)

    def restore(self, matrix: np.ndarray, rng: np.random.RandomState) -> Any:
        encoder = self._model.encoder_
        for block in encoder.blocks_:
            if block.kind == "missing":  # it follows the column that it belongs to
                start = block.columns.start
                matrix[:, start] = np.isnan(matrix[:, start - 1])
        rows = encoder._decoded(matrix, rng=rng)
        for step in reversed(steps_of(self.autoencoder)[:-1]):
            rows = step.inverse_transform(rows)
        return rows


def rows_of(autoencoder: Any) -> type[NumberRows]:
    """Return the class of the rows that an autoencoder, fitted or not, encodes."""
    is_of_tables = isinstance(steps_of(autoencoder)[-1], TableAutoencoder)
    return MixedRows if is_of_tables else NumberRows


def some(X: Any, rng: np.random.RandomState) -> Any:
    """Draw a sample of the rows if there are many, in the same form as `X`."""
    shape = _shape(X)
    n_rows = min(MAX_ROWS, n_rows_in(_MAX_BYTES, max(1, math.prod(shape[1:]))))
    if shape[0] <= n_rows:
        return X
    if issparse(X):
        X = X.tocsr()  # some sparse formats cannot be indexed
    return safe_indexing(X, np.sort(rng.choice(shape[0], n_rows, replace=False)))


def _shape(X: Any) -> tuple[int, ...]:
    """Return the shape of an array, a frame or a list of rows."""
    return X.shape if hasattr(X, "shape") else (len(X), len(X[0]))
