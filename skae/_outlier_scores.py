"""Outlier scores of rows from an autoencoder; high for normal rows.

Each score is a class without instances. `learn` returns arrays; `score` needs only
these and the autoencoder.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from sklearn.utils import gen_batches

from skae._base import BaseAutoencoder
from skae._fitted import OUTPUTS
from skae._inference import in_whole_blocks
from skae._mixture import fit_mixture, log_density, whitening
from skae._sampled_rows import rows_of
from skae.training import n_rows_in

# Rows to learn a score from: more would make it slower, but hardly better.
MAX_ROWS = 20_000
MAX_BYTES = 2**27
_MAX_MIXTURE_ROWS = 4_000
_BLOCK_BYTES = 2**25
# Residuals that are smaller, in units of the rows, are rounding errors.
_ROUNDING = 1e-5
# Rows that are closer, in standard deviations of the codes, are copies.
_SAME = 1e-4

State = dict[str, np.ndarray]


class Neighbors:
    """Negative distance to the k-th nearest training row, by codes and residuals."""

    @staticmethod
    def learn(
        model: BaseAutoencoder,
        X: Any,
        weight: np.ndarray,
        *,
        n_neighbors: int,
        rng: np.random.RandomState,
    ) -> State:
        blocks = list(_codes_and_residuals(model, X))
        codes, residuals, rows = (
            np.concatenate(each) for each in zip(*blocks, strict=True)
        )
        mean = np.average(codes, axis=0, weights=weight)
        spread = np.sqrt(np.average(np.square(codes - mean), axis=0, weights=weight))
        spread[spread <= _ROUNDING * spread.max()] = 1.0
        error = np.average(np.square(residuals).mean(axis=1), weights=weight)
        rms = max(math.sqrt(error), _smallest_rms(rows))
        scale = np.concatenate(
            [spread, np.full(residuals.shape[1], rms * math.sqrt(residuals.shape[1]))]
        )
        vectors = np.hstack([codes, residuals]) / scale
        return {
            "vectors": vectors.astype(np.float32),
            "scale": scale,
            "n_neighbors": np.array(min(n_neighbors, max(1, len(vectors) - 1))),
        }

    @staticmethod
    def score(model: BaseAutoencoder, X: Any, state: State) -> np.ndarray:
        from sklearn.neighbors import NearestNeighbors  # the import takes long

        k = int(state["n_neighbors"])
        vectors = state["vectors"]
        # One more, as a training row is no neighbour of itself.
        found = NearestNeighbors(
            n_neighbors=min(k + 1, len(vectors)), algorithm="brute"
        ).fit(vectors)
        scores = []
        for codes, residuals, _ in _codes_and_residuals(model, X):
            new = (np.hstack([codes, residuals]) / state["scale"]).astype(np.float32)
            distance, _ = found.kneighbors(new)
            is_copy = distance[:, 0] <= _SAME * (1 + np.linalg.norm(new, axis=1))
            scores.append(
                -np.where(is_copy, distance[:, -1], distance[:, k - 1]).astype(float)
            )
        return np.concatenate(scores)


class Error:
    """Negative reconstruction error."""

    @staticmethod
    def learn(
        model: BaseAutoencoder,
        X: Any,
        weight: np.ndarray,
        *,
        n_neighbors: int,
        rng: np.random.RandomState,
    ) -> State:
        return {}

    @staticmethod
    def score(model: BaseAutoencoder, X: Any, state: State) -> np.ndarray:
        error = np.asarray(model.reconstruction_error(X), dtype=float)
        # Nothing is known of a row without any value.
        return -np.where(np.isnan(error), 0.0, error)


class Density:
    """Logarithm of the density of the code in a mixture and of the residuals.

    Residuals are normal, with the same variance in all columns. Constants are omitted.
    """

    @staticmethod
    def learn(
        model: BaseAutoencoder,
        X: Any,
        weight: np.ndarray,
        *,
        n_neighbors: int,
        rng: np.random.RandomState,
    ) -> State:
        blocks = list(_codes_and_residuals(model, X))
        codes, _, rows = (np.concatenate(each) for each in zip(*blocks, strict=True))
        errors = -Error.score(model, X, {})
        smallest = _smallest_rms(rows) ** 2
        # The mixture has no weights, so rows are repeated according to theirs.
        share = np.cumsum(weight) / weight.sum()
        n_rows = min(max(2, len(codes)), _MAX_MIXTURE_ROWS)  # a mixture takes two
        chosen = np.searchsorted(share, (np.arange(n_rows) + 0.5) / n_rows)
        mixture = fit_mixture(codes[chosen], rows_of(model).reg_covar, rng)
        return {
            "error": np.array(max(np.average(errors, weights=weight), smallest)),
            "weights": mixture.weights,
            "means": mixture.means,
            "covariances": mixture.covariances,
        }

    @staticmethod
    def score(model: BaseAutoencoder, X: Any, state: State) -> np.ndarray:
        blocks = _codes_and_residuals(model, X)
        codes = torch.from_numpy(np.concatenate([codes for codes, _, _ in blocks]))
        parts = map(torch.from_numpy, mixture_of(state))
        density = log_density(in_whole_blocks(codes), *parts)[: len(codes)].numpy()
        return density + error_weight(model, state) * Error.score(model, X, {})


def mixture_of(state: State) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return means, constants and factors of the mixture of a density."""
    return state["means"], *whitening(
        state["weights"], state["means"], state["covariances"]
    )


def error_weight(model: BaseAutoencoder, state: State) -> float:
    """Return the factor of the error of a row in a density."""
    return 0.5 * model.n_features_in_ / float(state["error"])


SCORES: dict[str, Any] = {"neighbors": Neighbors, "error": Error, "density": Density}


def max_rows(n_values: int) -> int:
    """Return the largest number of rows of `n_values` values to learn a score from."""
    return min(MAX_ROWS, n_rows_in(MAX_BYTES, max(1, n_values)))


def _codes_and_residuals(
    model: BaseAutoencoder, X: Any
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield codes, residuals and rows, block by block; residuals of gaps are 0."""
    table = model._check_new_rows(X)
    for block in gen_batches(len(table), n_rows_in(_BLOCK_BYTES, table.shape[1])):
        rows = np.asarray(table[block])
        codes = model._apply(OUTPUTS["code"], rows)
        residuals = rows - model._decode(codes)
        residuals[np.isnan(residuals)] = 0.0
        yield codes.astype(float), residuals.astype(float), rows


def _smallest_rms(rows: np.ndarray) -> float:
    """Return the smallest root mean square of residuals of rows, or 1."""
    there = ~np.isnan(rows)
    count = np.maximum(there.sum(axis=0), 1)
    mean = rows.sum(axis=0, where=there, dtype=float) / count
    variance = np.square(rows - mean).sum(axis=0, where=there) / count
    return _ROUNDING * math.sqrt(variance.mean()) or 1.0


def shapes_of(score: str, model: BaseAutoencoder, state: State) -> dict[str, Any]:
    """Return the shapes of the arrays of a score, by their names."""
    if score == "error":
        return {}
    n_codes = model.n_components_
    if score == "neighbors":
        n_values = n_codes + model._n_inputs
        return {
            "vectors": (len(state["vectors"]), n_values),
            "scale": (n_values,),
            "n_neighbors": (),
        }
    n_mixture = len(state["weights"])
    return {
        "error": (),
        "weights": (n_mixture,),
        "means": (n_mixture, n_codes),
        "covariances": (n_mixture, n_codes, n_codes),
    }
