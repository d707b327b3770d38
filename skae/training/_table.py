"""Tables: input rows, target rows and their weights."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.utils.random import sample_without_replacement

from skae.training._batches import Rows
from skae.training._distinct import count_different, row_hashes
from skae.training._gaussian_em import Gaussian
from skae.training._statistics import (
    Columns,
    column_statistics,
    covariance,
    fill_missing,
    pooled_columns,
)
from skae.training._streaming import (
    LargeTable,
    Matrix,
    SelectedRows,
    StreamedRows,
    as_selected,
    device_rows,
    float_tensor,
)


@dataclass(frozen=True)
class Table:
    """Training or validation rows, with everything that belongs to them.

    Parameters
    ----------
    inputs : ndarray or SelectedRows of shape (n_samples, n_features)
        Input rows of the encoder.

    targets : ndarray or SelectedRows of shape (n_samples, n_features), default=None
        Target rows of the decoder. None means `inputs`. If one of both is large, both
        are read block by block. For predictions, the shape is (n_samples,) or
        (n_samples, n_outputs).

    weight : ndarray of shape (n_samples,), default=None
        Positive weights of the rows; None: all one.

    groups : ndarray of shape (n_samples,), default=None
        Number of the group of each row, from 0.

    missing : bool, default=False
        Whether values may be missing (NaN).

    gaussian : Gaussian, default=None
        Moments of rows with values that are, or were, missing. None: moments of the
        inputs.

    parts : tuple of Part, default=()
        Parts that all rows are in. The moments of the inputs are computed from those
        of the parts, if there are any.
    """

    inputs: Matrix
    targets: Matrix | None = None
    weight: np.ndarray | None = None
    groups: np.ndarray | None = None
    missing: bool = False
    gaussian: Gaussian | None = None
    parts: tuple["Part", ...] = ()

    def __post_init__(self) -> None:
        if self.targets is not None and self.large != self._is_large(self.targets):
            for name in ("inputs", "targets"):
                part = getattr(self, name)
                if not self._is_large(part):
                    object.__setattr__(self, name, LargeTable(part))

    @staticmethod
    def _is_large(X: Any) -> bool:
        return isinstance(X, LargeTable)

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return self.inputs.shape[1]

    @property
    def large(self) -> bool:
        """Whether the rows are read block by block."""
        return self._is_large(self.inputs)

    @property
    def sparse(self) -> bool:
        """Whether the rows are those of a large sparse matrix."""
        return self.large and self.inputs.sparse  # type: ignore[union-attr]

    @property
    def reconstructed(self) -> Matrix:
        """Target rows of the decoder."""
        return self.inputs if self.targets is None else self.targets

    def has_missing(self) -> bool:
        """Return whether a value of the target rows is missing."""
        if not self.missing or self.sparse:
            return False
        rows: Any = self.reconstructed
        blocks = rows.values() if self.large else [rows[:]]
        return any(np.isnan(block).any() for block in blocks)

    def take(self, index: np.ndarray) -> "Table":
        """Return the table of the rows with these indices; copy no dense rows."""

        def of(X: Any) -> Any:
            return as_selected(X).take(index)

        return self._with_parts(of, index)

    def read(self, index: Any) -> "Table":
        """Read some of the rows into memory and return their table."""
        return self._with_parts(lambda X: X[index], index)

    def _with_parts(self, of: Any, index: Any) -> "Table":
        def part(values: Any) -> Any:
            return None if values is None else values[index]

        return replace(
            self,
            inputs=of(self.inputs),
            targets=None if self.targets is None else of(self.targets),
            weight=part(self.weight),
            groups=part(self.groups),
            parts=(),
        )

    def sample(self) -> "Table":
        """Return the table as arrays in memory; a sample of a large table."""
        X = self.inputs
        return self.read(X.sample) if isinstance(X, SelectedRows) else self

    def draw(self, n_rows: int, seed: int) -> "Table":
        """Return at most this number of rows, drawn at random, in memory."""
        X = self.inputs
        index = X.sample if isinstance(X, SelectedRows) else np.arange(len(self))
        if len(index) > n_rows:
            some = sample_without_replacement(len(index), n_rows, random_state=seed)
            index = index[np.sort(some)]
        elif not self.large:
            return self
        return self.read(index)

    def filled(self) -> "Table":
        """Return the rows with NaN replaced by the means of the columns.

        A table without NaN is returned as it is, or as a sample if it is large and
        dense.
        """
        if self.sparse or not (self.large or self.missing):
            return self
        table = self.sample()
        if not self.missing:
            return table
        inputs: Any = fill_missing(table.inputs, table.weight)  # type: ignore[arg-type]
        return replace(table, inputs=inputs, missing=False, parts=())

    @cached_property
    def columns(self) -> Columns:
        """Mean and variance of the columns of the inputs."""
        if self.gaussian is not None:
            return Columns(self.gaussian.mean, self.gaussian.variance)
        if self.parts:
            return pooled_columns([(each.columns, share) for each, share in self.parts])
        table = self.filled()
        return column_statistics(table.inputs, table.weight)

    def made_of(self, *parts: "Part") -> "Table":
        """Return the same table with its moments pooled from those of its parts."""
        table = replace(self, parts=parts)
        # Hashes take as long as the moments, and they are the same.
        if "hashes" in vars(self):
            vars(table)["hashes"] = self.hashes
        return table

    @property
    def knows_covariance(self) -> bool:
        """Whether `covariance` has been computed."""
        return "covariance" in vars(self)

    @cached_property
    def covariance(self) -> np.ndarray:
        """Covariance of the inputs, for rows in memory without missing values."""
        if not self.parts:
            rows: Any = self.inputs
            return covariance(rows, self.weight, self.columns)
        total = np.zeros((self.n_features, self.n_features))
        for table, share in self.parts:
            shift = table.columns.mean - self.columns.mean
            total += share * (table.covariance + np.outer(shift, shift))
        return total

    @cached_property
    def hashes(self) -> np.ndarray:
        """Hash of each row, or of each pair of rows."""
        hashes = row_hashes(self.inputs)
        if self.targets is None:
            return hashes
        return hashes * np.uint64(3) + row_hashes(self.targets)

    def n_distinct(self) -> int:
        """Count the distinct rows."""
        return count_different(self.hashes)

    def on(self, device: Any, copy: bool = False) -> Rows:
        """Return the rows as tensors on a device.

        Rows are streamed if the table is large or a tensor would need a copy of it.

        `copy` is needed if something may write to the tensors.
        """
        device = torch.device(device)
        inputs: Any = self.inputs
        targets: Any = self.targets
        rows: Any
        if self.large and targets is None:
            rows = device_rows(inputs, device)
        elif self.large or (device.type == "cpu" and not copy and self._is_no_tensor()):
            selected = None if targets is None else as_selected(targets)
            rows = StreamedRows(as_selected(inputs), device, selected)
        else:
            rows = self._tensor(inputs, device, copy)
            if targets is not None and targets.dtype.kind == "f":
                rows = rows, self._tensor(targets, device, copy)
            elif targets is not None:
                rows = rows, torch.as_tensor(targets).to(device)
        weight = None if self.weight is None else float_tensor(self.weight, device)
        return Rows(rows, weight)

    @staticmethod
    def _tensor(X: Any, device: torch.device, copy: bool) -> torch.Tensor:
        rows = X[:]
        # Selected rows are copies already.
        return float_tensor(rows, device, copy=copy and rows.base is not None)

    def _is_no_tensor(self) -> bool:
        """Return whether a tensor of the inputs needs a copy of them."""
        X = self.inputs
        if isinstance(X, SelectedRows):
            return True
        is_one = X.dtype == np.float32 and X.flags.writeable
        return self.targets is None and not is_one


class Part(NamedTuple):
    """Some of the rows of a table, and their share of the weight of all."""

    table: Table
    share: float
