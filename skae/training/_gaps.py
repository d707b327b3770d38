"""Gaps (missing values) of tables, filled for training."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.utils import gen_batches

from skae.training._gaussian_em import complete_gaussian, fit_gaussian
from skae.training._streaming import LargeTable
from skae.training._table import Table

# A covariance of more columns would be larger than the rest of a module trained on
# complete rows.
_MAX_COLUMNS = 1000
# Rows for each column that suffice for a covariance, and the minimum number of rows.
_ROWS_PER_COLUMN = 4
_MIN_ROWS = 1000
# Number of values in a block of rows filled at once.
_BLOCK_VALUES = 2**20


def fit_fill(module: Any, table: Table, seed: int) -> Table:
    """Fit the layer of a module that fills gaps.

    Parameters
    ----------
    module : torch.nn.Module
        Module of skae that centres and scales its rows.

    table : Table
        Training rows, with or without gaps.

    seed : int
        Determines the cells that choose the number of iterations, and the sample of
        many rows. With the same seed in all calls, the fit depends on the rows only.

    Returns
    -------
    table : Table
        The same table. If it has gaps, it also has its moments, `gaussian`.
    """
    if not table.missing:
        # The covariance of all rows is known if PCA was fitted to them.
        rows = table
        if not table.knows_covariance:
            enough = max(_MIN_ROWS, _ROWS_PER_COLUMN * table.n_features)
            rows = table.draw(enough, seed)
        gaussian = complete_gaussian(rows.columns, rows.covariance, rows.n_distinct())
        gaussian.put_into(module.fill)
        return table
    sample: Any = table.sample()
    gaussian = fit_gaussian(sample.inputs, sample.weight, seed)
    gaussian.put_into(module.fill)
    return replace(table, gaussian=gaussian)


def prepare_for_gaps(
    module: Any, table: Table, seed: int, *, by_means: bool = False
) -> None:
    """Prepare a module trained on complete rows to fill the gaps of new rows.

    With more than 1,000 columns, it fills them with the means of the columns if
    `by_means` is True, and otherwise does not fill them.
    """
    if module.fill.is_set:
        return
    if table.n_features <= _MAX_COLUMNS:
        fit_fill(module, table, seed)
    elif by_means:
        no_loadings = np.zeros((table.n_features, 1))
        ones = np.ones(table.n_features)
        module.fill.set_low_rank(table.columns.mean, no_loadings, ones)


def filled(
    module: Any,
    table: Table,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    returns_gaps: bool = False,
) -> Table:
    """Return a table whose gaps are filled by a module.

    Parameters
    ----------
    module : torch.nn.Module
        Module whose layer `fill` is set.

    table : Table
        Rows. A table in memory is copied if it has gaps. A large table is filled when
        it is read.

    low, high : float
        Bounds of the filled values.

    returns_gaps : bool, default=False
        Whether `targets` are the rows with gaps.
    """
    if not table.missing:
        return table
    if returns_gaps:
        table = replace(table, targets=table.inputs)
    inputs: Any = table.inputs
    if table.large:
        inputs = _FilledTable(inputs, module.fill, (low, high))
        return replace(table, inputs=inputs, missing=False)
    inputs = np.array(inputs[:])
    size = max(1, _BLOCK_VALUES // table.n_features)
    for rows in gen_batches(len(inputs), size):
        inputs[rows] = _fill(module.fill, inputs[rows], (low, high))
    targets: Any = table.targets
    if targets is not None:
        targets = targets[:]  # in memory, as the inputs are now
    return replace(table, inputs=inputs, targets=targets, missing=False)


@torch.no_grad()
def _fill(layer: Any, X: np.ndarray, bounds: tuple[float, float]) -> np.ndarray:
    missing = np.isnan(X)
    rows = missing.any(axis=1)
    if not rows.any():
        return X
    x = torch.from_numpy(np.ascontiguousarray(X[rows])).to(layer.mean.device)
    X = X.copy()
    X[rows] = np.where(missing[rows], layer(x).cpu().numpy().clip(*bounds), X[rows])
    return X


class _FilledTable(LargeTable):
    """A large table whose gaps are filled when it is read."""

    def __init__(self, table: Any, layer: Any, bounds: tuple[float, float]) -> None:
        super().__init__(table.array, table.index)
        self._layer = layer
        self._bounds = bounds

    def __getitem__(self, rows: Any) -> np.ndarray:
        return _fill(self._layer, super().__getitem__(rows), self._bounds)
