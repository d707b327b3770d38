"""Which rows train, and which are held out to validate on."""

from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.random import sample_without_replacement

from skae.training._distinct import distinct_rows, row_hashes
from skae.training._recurrent import fill_ends
from skae.training._selection import spread_sample
from skae.training._streaming import (
    LargeTable,
    Pairs,
    Table,
    inputs_of,
    n_rows_in,
    take_rows,
)

# Fewer rows cannot tell an improvement on the start from luck.
MIN_VALIDATION_ROWS = 10
# Validation rows are kept in memory: of a larger table, a smaller share of the rows.
_VALIDATION_BYTES = 2**27


class Split(NamedTuple):
    """Rows to train on and distinct rows to validate on, with weights of mean one.

    Attributes
    ----------
    X : ndarray or LargeTable of shape (n_train, n_features)
        Training rows.

    weight : ndarray of shape (n_train,) or None
        Their weights; None: all one.

    X_val : ndarray of shape (n_val, n_features) or None
        Validation rows, each distinct row once; None: there are none.

    weight_val : ndarray of shape (n_val,) or None
        Summed weights of the copies of each of them; None: all one.

    groups_val : ndarray of shape (n_val,) or None
        Groups of the validation rows, if there are enough to compare groups.
    """

    X: Any
    weight: np.ndarray | None
    X_val: Any = None
    weight_val: np.ndarray | None = None
    groups_val: np.ndarray | None = None


def hold_out(
    X: Table | Pairs,
    sample_weight: np.ndarray | None,
    groups: np.ndarray | None,
    *,
    fraction: float,
    needed: int,
    seed: int,
) -> Split:
    """Hold out distinct rows with all of their copies; the same ones for the same rows.

    Parameters
    ----------
    X : ndarray, LargeTable or Pairs of shape (n_samples, n_features)
        Rows. Pairs with one target, such as noisy copies of a row, are a group.

    sample_weight : ndarray of shape (n_samples,) or None
        Positive weights of the rows.

    groups : ndarray of shape (n_samples,) or None
        Numbers of the groups of the rows, from 0. Rows of one group stay together, but
        those with a copy in another group train.

    fraction : float
        Share of the distinct rows to hold out.

    needed : int
        Fewer are of no use, and then none is held out.

    seed : int
        Determines the draw.

    Returns
    -------
    split : Split

    Raises
    ------
    ValueError
        If the fraction leaves too few rows of a table that has enough.
    """
    first, number = distinct_rows(row_hashes(X))
    n_distinct = len(first)
    large = isinstance(inputs_of(X), LargeTable)
    if isinstance(X, Pairs) and groups is None:
        distinct_targets, target = distinct_rows(row_hashes(X.targets))
        groups = target if len(distinct_targets) < n_distinct else None
    n_val = int(fraction * n_distinct)
    # A tenth of the rows is enough of a larger table: there the fraction is wrong.
    if n_val < needed <= n_distinct // 10:
        rows = "rows" if n_distinct == len(X) else "distinct rows"
        raise ValueError(
            f"validation_fraction={fraction} leaves {n_val} of the {n_distinct} {rows} "
            f"of X to validate on, and at least {needed} are needed: set it to "
            f"{needed / n_distinct:.2g} or more, or to None to train on all rows."
        )
    most = n_distinct
    if large:
        most = max(needed, n_rows_in(_VALIDATION_BYTES, X.shape[1]))
    n_val = min(n_val, most)
    chosen = np.empty(0, dtype=int)
    if n_val >= needed:
        if groups is not None:
            chosen = _rows_of_some_groups(first, number, groups, n_val, seed)
        elif large:
            chosen = sample_without_replacement(n_distinct, n_val, random_state=seed)
        else:
            table: Any = X.targets if isinstance(X, Pairs) else X
            distinct = table if n_distinct == len(X) else table[first]
            # Distances of rows from the mean need numbers.
            chosen = spread_sample(fill_ends(distinct), n_val, seed)
    if len(chosen) < max(needed, 1):
        return Split(X, sample_weight)
    held_out = np.zeros(n_distinct, dtype=bool)
    held_out[chosen] = True
    trains = ~held_out[number]
    chosen = np.flatnonzero(held_out)
    if len(chosen) > most:
        some = sample_without_replacement(len(chosen), most, random_state=seed)
        chosen = chosen[some]
    weight = weight_val = groups_val = None
    if sample_weight is not None:
        weight = _mean_one(sample_weight[trains])
    if sample_weight is not None or n_distinct < len(X):
        weight_val = np.bincount(number, weights=sample_weight)[chosen]
    if groups is not None:
        groups_val = groups[first[chosen]]
        if len(np.unique(groups_val)) < MIN_VALIDATION_ROWS:
            groups_val = None
    return Split(
        take_rows(X, trains),
        weight,
        X[first[chosen]],
        _mean_one(weight_val),
        groups_val,
    )


def _rows_of_some_groups(
    first: np.ndarray,
    number: np.ndarray,
    groups: np.ndarray,
    n_rows: int,
    seed: int,
) -> np.ndarray:
    """Choose the distinct rows of groups drawn at random, `n_rows` or a few more."""
    group = groups[first]
    is_in_one = np.ones(len(first), dtype=bool)
    is_in_one[number[groups != group[number]]] = False
    n_groups = groups.max() + 1
    sizes = np.bincount(group[is_in_one], minlength=n_groups)
    order = np.random.RandomState(seed).permutation(n_groups)
    # What is most of the rows has to train.
    order = order[(sizes[order] > 0) & (sizes[order] <= len(first) / 2)]
    n_chosen = 1 + np.searchsorted(np.cumsum(sizes[order]), n_rows)
    chosen = order[: min(n_chosen, n_groups - 1)]
    return np.flatnonzero(is_in_one & np.isin(group, chosen))


def distinct_with_weights(X: Any) -> tuple[Any, np.ndarray | None]:
    """Take each distinct row once, and weights of mean one that count its copies."""
    first, number = distinct_rows(row_hashes(X))
    if len(first) == len(X):
        return X, None
    return X[first], _mean_one(np.bincount(number))


def share_in(X: Table | Pairs, rows: Any) -> float:
    """Give the share of rows that a table has, too."""
    return float(np.isin(row_hashes(rows), row_hashes(X)).mean())


def _mean_one(weight: np.ndarray | None) -> np.ndarray | None:
    return None if weight is None or np.ptp(weight) == 0 else weight / weight.mean()
