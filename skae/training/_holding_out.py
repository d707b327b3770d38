"""The split into training and validation rows."""

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils.random import sample_without_replacement

from skae.training._distinct import distinct_rows, row_hashes
from skae.training._selection import spread_sample
from skae.training._statistics import fill_missing
from skae.training._streaming import n_rows_in
from skae.training._table import Part, Table

# With fewer rows, an improvement over the start may be chance.
MIN_VALIDATION_ROWS = 10
# Validation rows of a large table are copied, so its share is smaller.
_VALIDATION_BYTES = 2**27


class Split(NamedTuple):
    """Rows to train on and distinct rows to validate on, with weights of mean one.

    Attributes
    ----------
    train : Table
        Training rows.

    valid : Table or None
        Validation rows. Each distinct row occurs once, with the summed weights of its
        copies. They have groups if there are enough groups to compare. They are a copy
        if the table is large, and are taken from it by index otherwise. None: there are
        no validation rows.

    train_share : float or None
        Share of the training rows in the weight of all rows. None: some rows are in
        neither table, or in both.
    """

    train: Table
    valid: Table | None = None
    train_share: float | None = None

    def whole(self, table: Table) -> Table:
        """Return the table of all rows with its moments pooled from its two parts."""
        share = self.train_share
        if share is None or self.valid is None or table.missing:
            return table
        return table.made_of(Part(self.train, share), Part(self.valid, 1 - share))


def hold_out(table: Table, *, fraction: float, needed: int, seed: int) -> Split:
    """Hold out distinct rows with all of their copies; the same ones for the same rows.

    Rows of one group stay together. Rows with a copy in another group are training
    rows. Without `groups`, pairs with the same target, such as noisy copies of a row,
    are a group.

    Parameters
    ----------
    table : Table of shape (n_samples, n_features)
        Rows.

    fraction : float
        Share of the distinct rows to hold out.

    needed : int
        Minimum number of validation rows. With fewer, none is held out.

    seed : int
        Determines the draw.

    Returns
    -------
    split : Split

    Raises
    ------
    ValueError
        If the fraction leaves too few rows of a table that has enough, or if all rows
        are in one group.
    """
    groups = table.groups
    if groups is not None and groups.max() == 0:
        raise ValueError(
            "groups has only one group, but validation holds out whole groups. Pass "
            "two groups or more, pass X_val, or set validation_fraction=None to train "
            "on all rows."
        )
    first, number = distinct_rows(table.hashes)
    n_distinct = len(first)
    if table.targets is not None and groups is None:
        distinct_targets, target = distinct_rows(row_hashes(table.targets))
        groups = target if len(distinct_targets) < n_distinct else None
    n_val = int(fraction * n_distinct)
    # If a tenth of the rows would be enough, the fraction is too small.
    if n_val < needed <= n_distinct // 10:
        rows = "rows" if n_distinct == len(table) else "distinct rows"
        raise ValueError(
            f"validation_fraction={fraction} leaves {n_val} of the {n_distinct} {rows} "
            f"of X for validation, but at least {needed} are needed. Set it to "
            f"{needed / n_distinct:.2g} or more, or to None to train on all rows."
        )
    most = n_distinct
    if table.large:
        most = max(needed, n_rows_in(_VALIDATION_BYTES, table.n_features))
    n_val = min(n_val, most)
    chosen = np.empty(0, dtype=int)
    if n_val >= needed:
        chosen = _choose(table, groups, first, number, n_val, seed)
    if len(chosen) < max(needed, 1):
        return Split(replace(table, groups=None))
    held_out = np.zeros(n_distinct, dtype=bool)
    held_out[chosen] = True
    trains = ~held_out[number]
    chosen = np.flatnonzero(held_out)
    if len(chosen) > most:
        some = sample_without_replacement(len(chosen), most, random_state=seed)
        chosen = chosen[some]
    train = table.take(np.flatnonzero(trains))
    valid = (table.read if table.large else table.take)(first[chosen])
    weight_val = groups_val = None
    if table.weight is not None or n_distinct < len(table):
        weight_val = np.bincount(number, weights=table.weight)[chosen]
    if groups is not None:
        groups_val = groups[first[chosen]]
        if len(np.unique(groups_val)) < MIN_VALIDATION_ROWS:
            groups_val = None
    share = None
    if not table.large:
        share = float(np.average(trains, weights=table.weight))
    return Split(
        replace(train, weight=mean_one(train.weight), groups=None),
        replace(valid, weight=mean_one(weight_val), groups=groups_val),
        share,
    )


class Distinct(NamedTuple):
    """Distinct rows in a random order that does not depend on the table.

    Attributes
    ----------
    rows : ndarray of shape (n_distinct,)
        Indices of the rows in the table.

    weight : ndarray of shape (n_distinct,)
        Summed weights of the copies of each row, scaled to a mean of one.
    """

    rows: np.ndarray
    weight: np.ndarray


class CalibrationSplit(NamedTuple):
    """Training rows and calibration rows.

    Attributes
    ----------
    train : ndarray of shape (n_train,)
        Indices of the training rows, including copies.

    learned : Distinct
        The distinct training rows.

    held_out : Distinct
        The distinct rows held out for calibration.
    """

    train: np.ndarray
    learned: Distinct
    held_out: Distinct


def distinct_at_random(
    hashes: np.ndarray, weight: np.ndarray | None, seed: int
) -> Distinct:
    """Return the distinct rows with their weights, the same for the same rows."""
    first, number = distinct_rows(hashes)
    order = np.argsort(hashes[first])
    order = order[np.random.RandomState(seed).permutation(len(first))]
    total = np.bincount(number, weights=weight)[order]
    return Distinct(first[order], total / total.mean())


def hold_out_to_calibrate(
    hashes: np.ndarray,
    weight: np.ndarray | None,
    groups: np.ndarray | None,
    *,
    most: int,
    seed: int,
) -> CalibrationSplit:
    """Hold out distinct rows, drawn with equal probability, with all of their copies.

    Their number is a tenth of the rows, or 100 if that is more, but at most a quarter:
    quantiles need about 100 rows. The choice does not depend on the order of the rows
    or on their numbers of copies.

    Parameters
    ----------
    hashes : ndarray of shape (n_samples,)
        Hashes of the rows.

    weight : ndarray of shape (n_samples,) or None
        Positive weights of the rows.

    groups : ndarray of shape (n_samples,) or None
        Numbers of the groups of the rows, from 0. No group is on both sides.

    most : int
        Maximum number of rows to hold out.

    seed : int
        Determines the draw.

    Returns
    -------
    split : CalibrationSplit

    Raises
    ------
    ValueError
        If all rows are the same, or in one group.
    """
    if groups is not None and groups.max() == 0:
        raise ValueError(
            "groups has only one group, but calibration holds out whole groups. Pass "
            "two groups or more, or pass X_val."
        )
    distinct = distinct_at_random(hashes, weight, seed)
    n_distinct = len(distinct.rows)
    if n_distinct < 2:
        raise ValueError(
            f"All {len(hashes)} rows of X are the same, but calibration needs rows "
            "that differ from the training rows. Pass at least two different rows."
        )
    n_rows = max(n_distinct // 10, min(100, n_distinct // 4), 1)
    n_rows = min(n_rows, most)
    is_held_out = np.arange(n_distinct) < n_rows
    if groups is not None:
        first, number = distinct_rows(hashes)
        chosen = _rows_of_some_groups(first, number, groups, n_rows, seed)
        is_held_out = np.isin(distinct.rows, first[chosen])
        if not is_held_out.any():
            raise ValueError(
                "groups leaves no rows for calibration: every group has copies of rows "
                "of another group, or most of the rows. Pass X_val."
            )
    learned, held_out = (
        Distinct(
            distinct.rows[side], distinct.weight[side] / distinct.weight[side].mean()
        )
        for side in (~is_held_out, is_held_out)
    )
    train = np.flatnonzero(~np.isin(hashes, hashes[held_out.rows]))
    return CalibrationSplit(train, learned, held_out)


def hold_out_none(table: Table, **options: Any) -> Split:
    """Hold out no rows, because training has no use for validation rows."""
    return Split(table)


def hold_out_strata(
    table: Table, strata: np.ndarray, *, fraction: float, seed: int
) -> Split:
    """Hold out labelled rows so that all classes are on both sides.

    Parameters
    ----------
    table : Table of shape (n_rows, n_features)
        Distinct labelled rows. Rows of one group differ only in the target. They stay
        on one side.

    strata : ndarray of shape (n_rows,)
        Numbers of the classes.

    fraction : float
        Share of the groups to hold out.

    seed : int
        Determines the draw.

    Returns
    -------
    split : Split

    Raises
    ------
    ValueError
        If there are too few rows.
    """
    groups = np.asarray(table.groups)
    _, first, group_of_row = np.unique(groups, return_index=True, return_inverse=True)
    n_rows = len(first)
    strata = strata[first]
    n_strata, rarest = len(np.unique(strata)), np.bincount(strata).min()
    n_val = math.ceil(fraction * n_rows)
    if rarest < 2 or min(n_val, n_rows - n_val) < n_strata:
        needed = "a row"
        if n_strata > 1:
            needed = f"a row of each of the {n_strata} classes"
        raise ValueError(
            f"early_stopping=True needs {needed} for training and {needed} for "
            f"validation. validation_fraction={fraction} holds out "
            f"{n_val} of {n_rows} distinct labelled rows"
            + (f"; the rarest class has {rarest}" if n_strata > 1 else "")
            + ". Label more rows, change validation_fraction, or set "
            "early_stopping=False."
        )
    train, valid = train_test_split(
        np.arange(n_rows), test_size=n_val, stratify=strata, random_state=seed
    )
    starts = np.cumsum(np.bincount(group_of_row))[:-1]
    rows = np.split(np.argsort(group_of_row, kind="stable"), starts)
    train, valid = (np.concatenate([rows[i] for i in s]) for s in (train, valid))
    return Split(table.read(train), table.read(valid))


def _choose(
    table: Table,
    groups: np.ndarray | None,
    first: np.ndarray,
    number: np.ndarray,
    n_rows: int,
    seed: int,
) -> np.ndarray:
    """Choose which of the distinct rows are held out."""
    if groups is not None:
        return _rows_of_some_groups(first, number, groups, n_rows, seed)
    if table.large:
        return sample_without_replacement(len(first), n_rows, random_state=seed)
    rows: Any = table.reconstructed
    distinct = rows[:] if len(first) == len(table) else rows[first]
    if table.missing:  # distances of rows from the mean need numbers
        distinct = fill_missing(distinct)
    return spread_sample(distinct, n_rows, seed)


def _rows_of_some_groups(
    first: np.ndarray,
    number: np.ndarray,
    groups: np.ndarray,
    n_rows: int,
    seed: int,
) -> np.ndarray:
    """Choose `n_rows` distinct rows, or a few more, of groups drawn at random."""
    group = groups[first]
    is_in_one = np.ones(len(first), dtype=bool)
    is_in_one[number[groups != group[number]]] = False
    n_groups = groups.max() + 1
    sizes = np.bincount(group[is_in_one], minlength=n_groups)
    order = np.random.RandomState(seed).permutation(n_groups)
    # A group with most of the rows must be training rows.
    order = order[(sizes[order] > 0) & (sizes[order] <= len(first) / 2)]
    n_chosen = 1 + np.searchsorted(np.cumsum(sizes[order]), n_rows)
    chosen = order[: min(n_chosen, n_groups - 1)]
    return np.flatnonzero(is_in_one & np.isin(group, chosen))


def distinct_with_weights(table: Table) -> Table:
    """Return each distinct row once, in memory, with weights that count its copies."""
    table = replace(table.sample(), weight=None)
    first, number = distinct_rows(table.hashes)
    if len(first) == len(table):
        return table
    return replace(table.read(first), weight=mean_one(np.bincount(number)))


def share_in(table: Table, rows: Table) -> float:
    """Compute the share of `rows` that `table` also has."""
    return float(np.isin(rows.hashes, table.hashes).mean())


def mean_one(weight: np.ndarray | None) -> np.ndarray | None:
    """Scale weights to a mean of one; None if all are the same."""
    return None if weight is None or np.ptp(weight) == 0 else weight / weight.mean()
