"""Defaults of training: optimizers, learning rates, batch sizes and epochs.

The values were chosen by the error on held-out rows of about forty tables.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from skae.training._adam import Adam, AdamW

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": Adam,
    "adamw": AdamW,
    "lbfgs": torch.optim.LBFGS,
    "sgd": torch.optim.SGD,
}
if hasattr(torch.optim, "Muon"):  # since torch 2.9
    OPTIMIZERS["muon"] = torch.optim.Muon

_LEARNING_RATES = {"lbfgs": 1.0, "muon": 1e-2, "sgd": 0.1}
_OPTIONS: dict[str, dict[str, Any]] = {
    "adam": {"fused": True},
    # The default of torch is not zero.
    "adamw": {"fused": True, "weight_decay": 0.0},
    "lbfgs": {"line_search_fn": "strong_wolfe"},
    "sgd": {"fused": True, "momentum": 0.9, "nesterov": True},
}
# Rows of a batch without gradients. Smaller batches are slower, and larger ones need
# more memory.
EVALUATION_ROWS = 4096
# Limits of the memory of such a batch, for wide rows and large networks.
_INPUT_BYTES = 2**21
_ACTIVATION_BYTES = 2**27
# Batches are padded to multiples of this many rows. Matrix products round the remaining
# rows differently, so the code of a row would depend on the other rows.
BLOCK_ROWS = 16
_N_LBFGS_EPOCHS = 100
# Share of the epochs for a phase that trains a single layer.
_PHASE = 0.25


@dataclass(frozen=True)
class Recipe:
    """The meaning of "auto" in a family of estimators.

    Parameters
    ----------
    adam_lr : float, default=3e-3
        Learning rate of "adam" and "adamw". None: `learning_rate` computes it from rows
        and columns.

    batch_shares : tuple of (int, int), default=((10, 256),)
        Pairs (divisor, most): a step has as many rows as the largest of the shares
        ``min(n_samples // divisor, most)``, and at least 16.

    batch_size : int, default=None
        Rows in a step for any number of rows. None: see `batch_shares`.

    n_steps : int, default=2000
        Steps of a training.

    clip_norm : float, default=None
        Bound of the norm of gradients. None: no bound.
    """

    adam_lr: float | None = 3e-3
    batch_shares: tuple[tuple[int, int], ...] = ((10, 256),)
    batch_size: int | None = None
    n_steps: int = 2000
    clip_norm: float | None = None

    def learning_rate(self, optimizer: Any, n_samples: int, n_features: int) -> float:
        """Return the learning rate of an optimizer given by name; 3e-3 for a class.

        If it depends on the table, it is 4e-6 times the number of rows, between 3e-3
        and 8e-3, because small tables are memorised at a higher rate. It is at most
        ``0.0075 * sqrt(rows in a step / columns)``, because a step changes the code of
        a row more if there are more columns.
        """
        if not isinstance(optimizer, str):
            return 3e-3
        adam_lr = self.adam_lr
        if adam_lr is None:
            adam_lr = float(np.clip(4e-6 * n_samples, 3e-3, 8e-3))
            n_rows = self.rows_in_step(optimizer, n_samples)
            adam_lr = min(adam_lr, 7.5e-3 * math.sqrt(n_rows / n_features))
        rates = {"adam": adam_lr, "adamw": adam_lr, **_LEARNING_RATES}
        return rates.get(optimizer, 3e-3)

    def rows_in_step(
        self, optimizer: Any, n_samples: int, denoising: bool = False
    ) -> int:
        """Return the number of rows in a step: all rows for L-BFGS.

        Shares are twice as large for a denoiser, because its gradients also vary with
        the noise.
        """
        if optimizer == "lbfgs":
            return n_samples
        if self.batch_size is not None:
            return self.batch_size
        n = 2 * n_samples if denoising else n_samples
        shares = (min(n // divisor, most) for divisor, most in self.batch_shares)
        return max(16, *shares)


# With PCA as the start, half the batch and a higher rate cost large tables no accuracy.
DENSE = Recipe(adam_lr=None, batch_shares=((10, 64), (20, 128)))

# Categories take longer to learn than numbers.
TABLE = Recipe(adam_lr=1e-2, batch_shares=DENSE.batch_shares, n_steps=4500)


def is_lbfgs(optimizer: Any) -> bool:
    """Return whether an optimizer, a name or a class, is L-BFGS.

    L-BFGS needs a loss without noise, which is the same in each evaluation.
    """
    return OPTIMIZERS.get(optimizer, optimizer) is torch.optim.LBFGS


def optimizer_options(
    optimizer: Any, device: torch.device, asked: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return the default arguments of the constructor of an optimizer.

    Defaults that are incompatible with the requested arguments `asked` are left out. A
    class has no defaults.
    """
    options = dict(_OPTIONS.get(optimizer, {})) if isinstance(optimizer, str) else {}
    asked = asked or {}
    if device.type not in {"cpu", "cuda"} or asked.get("foreach"):
        options.pop("fused", None)
    if asked.get("differentiable"):
        options.pop("fused", None)
    if asked.get("momentum") == 0 or asked.get("dampening"):
        options.pop("nesterov", None)
    return options


def evaluation_rows(module: Any, n_features: int) -> int:
    """Return the number of rows in a batch without gradients.

    It is a multiple of `BLOCK_ROWS`. A module with much larger activations than rows
    has an attribute `n_activations`, the size of its widest layer for one row.
    """
    n_rows = min(EVALUATION_ROWS, _INPUT_BYTES // (4 * n_features))
    n_activations = getattr(module, "n_activations", 0)
    if n_activations > 0:
        n_rows = min(n_rows, _ACTIVATION_BYTES // (4 * n_activations))
    return max(BLOCK_ROWS, n_rows - n_rows % BLOCK_ROWS)


def weight_decay(
    optimizer: Any, n_samples: int, n_features: float, drawn_once: bool = False
) -> float:
    """Return the weight decay of a denoiser, which falls with the rows per column.

    Weight decay keeps a denoiser near its linear start. Without it, a table with twenty
    rows per column is memorised. With a hundred, weight decay increases the error.
    Noise that is `drawn_once`, in pairs of rows, is also memorised and needs more.
    """
    if optimizer != "adamw":
        return 0.0
    factor, most = (50, 6.0) if drawn_once else (25, 2.0)
    return min(most, (factor * n_features / n_samples) ** 2)


def n_epochs(
    optimizer: Any, n_samples: int, batch_size: int, n_steps: int = Recipe.n_steps
) -> int:
    """Return the number of epochs with about `n_steps` steps; 100 for L-BFGS."""
    if optimizer == "lbfgs":
        return _N_LBFGS_EPOCHS
    return max(1, round(n_steps / math.ceil(n_samples / batch_size)))


def n_phase_epochs(optimizer: Any, n_samples: int, batch_size: int) -> int:
    """Return the number of epochs for a single layer: a quarter of `n_epochs`."""
    return max(1, round(_PHASE * n_epochs(optimizer, n_samples, batch_size)))


def patience(n_epochs: int) -> int:
    """Return a third of the epochs, enough for the plateaus of a schedule."""
    return max(1, math.ceil(n_epochs / 3))
