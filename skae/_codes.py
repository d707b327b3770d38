"""Codes that one can read: ordered, uncorrelated, with what each of them explains."""

import math
from typing import Any

import numpy as np
import torch

from skae.modules import DenseAutoencoder, VariationalDenseAutoencoder
from skae.training import AutoencoderNet, Table, forget_optimizer_state, turn_of

# Codes of more components take longer to order than they take to train.
_MAX_COMPONENTS = 1000


class OrderedCodesMixin:
    """Mixin that orders the codes of a fitted estimator, and says what they explain."""

    net_: Any
    _has_user_module: bool
    _split_seed: int
    # Variances that the codes explain, in all, and the number of rows of `fit`.
    _explained: tuple[np.ndarray, float, int] | None = None

    def _order_codes(self, net: AutoencoderNet, table: Table) -> None:
        """Turn the codes of a trained net, if its module allows it."""
        self._explained = None
        if self._obstacle(net) is not None:
            return
        turn = turn_of(net, table, self._split_seed, self._column_scale(net))
        if turn is None:
            return
        module = net.plain_module_
        module.turn(*map(torch.from_numpy, (turn.matrix, turn.inverse, turn.centre)))
        # Averages of gradients are those of other weights.
        forget_optimizer_state(net)
        self._explained = turn.explained, turn.total, len(table)

    def _obstacle(self, net: AutoencoderNet) -> str | None:
        """Return why the codes of a net are not ordered; None if they are."""
        module = net.plain_module_
        if self._has_user_module:
            return f"{type(module).__name__} is a network of your own"
        if isinstance(module, VariationalDenseAutoencoder):
            return "the entries of its codes are independent given a row, and would not be"
        if not isinstance(module, DenseAutoencoder):
            return f"its codes are not those of dense layers: {type(module).__name__}"
        if not module.can_turn:
            return "tied_weights=True leaves the decoder no weights of its own"
        n_components = module.decoder[0].in_features
        if n_components > _MAX_COMPONENTS:
            return f"it has {n_components} components, more than {_MAX_COMPONENTS}"
        return None

    def _column_scale(self, net: AutoencoderNet) -> Any:
        """Return the function of variances by which columns are made comparable."""
        return None

    def _known(self, name: str) -> tuple[np.ndarray, float, int]:
        if not hasattr(self, "net_"):
            raise AttributeError(
                f"{name} is set by fit, and this {type(self).__name__} is not fitted."
            )
        if self._explained is None:
            reason = self._obstacle(self.net_) or (
                "the last call was one of partial_fit, or codes are not finite"
            )
            raise AttributeError(
                f"{type(self).__name__} has no {name}: codes are not ordered, because "
                f"{reason}. score(X) is the share that all of them explain together."
            )
        return self._explained

    @property
    def explained_variance_ratio_(self) -> np.ndarray:
        """Share of the variance of the rows that each code explains linearly."""
        explained, total, _ = self._known("explained_variance_ratio_")
        return explained / total if total > 0 else np.zeros(len(explained))

    @property
    def explained_variance_(self) -> np.ndarray:
        """Variance that each code explains linearly, with n_samples - 1 in it."""
        explained, _, n_rows = self._known("explained_variance_")
        return explained * (n_rows / max(1, n_rows - 1))

    @property
    def singular_values_(self) -> np.ndarray:
        """Norms of the codes that explain the variances."""
        explained, _, n_rows = self._known("singular_values_")
        return np.sqrt(explained) * math.sqrt(n_rows)
