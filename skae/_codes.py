"""Sorted and uncorrelated codes, with the variance that each component explains."""

import math
from typing import Any

import numpy as np
import torch

from skae.modules import DenseAutoencoder, VariationalDenseAutoencoder
from skae.training import AutoencoderNet, Table, forget_optimizer_state, turn_of

# Sorting more components takes longer than training.
_MAX_COMPONENTS = 1000


class OrderedCodesMixin:
    """Mixin that sorts the components of a fitted estimator by explained variance."""

    _has_user_module: bool
    _split_seed: int
    # Variances that components explain, the variance of the rows, and the number of
    # rows; or the reason why codes are not ordered.
    _explained: tuple[np.ndarray, float, int] | str

    def _order_codes(
        self, net: AutoencoderNet, table: Table, *, many_rows: bool
    ) -> None:
        """Sort the components of a trained net, if its module allows it."""
        reason = self._obstacle(net.plain_module_, table)
        if reason is not None:
            self._explained = reason
            return
        turn = turn_of(
            net,
            table,
            self._split_seed,
            self._column_scale(net),
            many_rows=many_rows,
        )
        if turn is None:
            self._explained = "they are not finite"
            return
        if not turn.is_nothing:
            net.plain_module_.turn(*map(torch.from_numpy, turn[:3]))
            # The averages of gradients belong to the earlier weights.
            forget_optimizer_state(net)
        self._explained = turn.explained, turn.total, len(table)

    def _obstacle(self, module: Any, table: Table) -> str | None:
        """Return why the codes of a module cannot be ordered; None if they can."""
        name = type(module).__name__
        if self._has_user_module:
            return f"{name} is a network of your own"
        if isinstance(module, VariationalDenseAutoencoder):
            return "its components are drawn independently, and a map would mix them"
        if not isinstance(module, DenseAutoencoder):
            return f"{name} does not decode codes by a dense layer"
        if not module.can_turn:
            return "with tied_weights=True, the decoder has no weights of its own"
        first: Any = module.decoder[0]
        n_components = first.in_features
        most = min(len(table), table.n_features, _MAX_COMPONENTS)
        if n_components > most:
            return (
                f"there are {n_components} components, more than {most}, the minimum "
                f"of rows, columns and {_MAX_COMPONENTS}"
            )
        return None

    def _column_scale(self, net: AutoencoderNet) -> Any:
        """Return a function of variances that makes columns comparable, or None."""
        return None

    def _known(self, name: str) -> tuple[np.ndarray, float, int]:
        # Estimators in older files do not have it.
        older = "it was fitted by an older version"
        reason = older if hasattr(self, "net_") else "it is not fitted"
        explained = getattr(self, "_explained", reason)
        if isinstance(explained, str):
            raise AttributeError(
                f"{type(self).__name__} has no {name}: its codes are not ordered, "
                f"because {explained}. score(X) is the share that all of them explain "
                "together."
            )
        return explained

    @property
    def explained_variance_ratio_(self) -> np.ndarray:
        """Share of the variance of the rows that each component explains linearly."""
        explained, total, _ = self._known("explained_variance_ratio_")
        return explained / total if total > 0 else np.zeros(len(explained))

    @property
    def explained_variance_(self) -> np.ndarray:
        """Variance that each component explains linearly, divided by n_samples - 1."""
        explained, _, n_rows = self._known("explained_variance_")
        return explained * (n_rows / max(1, n_rows - 1))

    @property
    def singular_values_(self) -> np.ndarray:
        """Norm of each component over all rows."""
        explained, _, n_rows = self._known("singular_values_")
        return np.sqrt(explained) * math.sqrt(n_rows)
