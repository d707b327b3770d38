"""Rows, some of them with a target."""

from typing import NamedTuple, Self

import numpy as np

from skae.training import ordered_distinct_rows


class Given(NamedTuple):
    """The rows of a fit, without those of weight zero.

    Attributes
    ----------
    X : ndarray of shape (n_rows, n_features)
        Rows.

    y : ndarray of shape (n_rows,) or (n_rows, n_outputs)
        Targets.

    labelled : ndarray of bool of shape (n_rows,)
        Which rows have a target.

    weight : ndarray of shape (n_rows,) or None
        Weights; None: all one.

    counts : ndarray of bool of shape (n_samples,)
        Which rows that were passed these are.
    """

    X: np.ndarray
    y: np.ndarray
    labelled: np.ndarray
    weight: np.ndarray | None
    counts: np.ndarray

    def of(self, mask: np.ndarray) -> "Given":
        """Return some of the rows."""
        counts = self.counts.copy()
        counts[counts] = mask
        weight = None if self.weight is None else self.weight[mask]
        return Given(self.X[mask], self.y[mask], self.labelled[mask], weight, counts)


class Distinct(NamedTuple):
    """Some of the distinct rows of a fit, and where these came from.

    Attributes
    ----------
    X : ndarray of shape (n_distinct, n_features)
        Distinct rows.

    weight : ndarray of shape (n_distinct,)
        Sum of the weights of the copies of each row.

    place : ndarray of shape (n_copies,)
        Indices of the copies among the rows that were passed.

    number : ndarray of shape (n_copies,)
        Index of each copy's row in `X`.
    """

    X: np.ndarray
    weight: np.ndarray
    place: np.ndarray
    number: np.ndarray

    @classmethod
    def of(cls, given: Given, max_rows: int, random: np.random.RandomState) -> Self:
        """Draw at most `max_rows` distinct rows."""
        index, number = ordered_distinct_rows(given.X)
        total = np.bincount(number, weights=given.weight).astype(np.float64)
        chosen = np.sort(random.permutation(len(index))[:max_rows])
        is_chosen = np.isin(number, chosen)
        return cls(
            given.X[index[chosen]],
            total[chosen],
            np.flatnonzero(given.counts)[is_chosen],
            np.searchsorted(chosen, number[is_chosen]),
        )
