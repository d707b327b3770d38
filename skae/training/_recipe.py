"""What "auto" stands for: optimizers, learning rates, batches and lengths.

The numbers were chosen on held-out rows of some forty tables.
"""

import math
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
    # torch's own default is not zero.
    "adamw": {"fused": True, "weight_decay": 0.0},
    "lbfgs": {"line_search_fn": "strong_wolfe"},
    "sgd": {"fused": True, "momentum": 0.9, "nesterov": True},
}
# Batches without gradients: smaller ones would take longer, larger ones more memory.
EVALUATION_ROWS = 4096
# So much of input and of activations at once, of wide rows and large networks.
_INPUT_BYTES = 2**24
_ACTIVATION_BYTES = 2**27
# Batches are filled up to multiples of this many rows. Matrix products treat odd rows
# apart, with other rounding, and a row's code would depend on the rows beside it.
BLOCK_ROWS = 16
_N_STEPS = 2000
_N_LBFGS_EPOCHS = 100
# Of a phase that trains a single layer, as parts of the above.
_PHASE = 0.25


def learning_rate(optimizer: Any) -> float:
    """Give the learning rate of an optimizer named; 3e-3 for a class."""
    return _LEARNING_RATES.get(optimizer, 3e-3) if isinstance(optimizer, str) else 3e-3


def optimizer_options(
    optimizer: Any, device: torch.device, asked: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Give the constructor arguments of an optimizer named.

    Those that cannot be together with the ones that are `asked` for are left out.
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


def batch_size(optimizer: Any, n_samples: int, denoising: bool = False) -> int:
    """Take a tenth of the rows, between 16 and 256; all of them for L-BFGS.

    A denoiser takes a fifth: its gradients vary with the noise, too.
    """
    if optimizer == "lbfgs":
        return n_samples
    return int(np.clip(n_samples // (5 if denoising else 10), 16, 256))


def evaluation_rows(module: Any, n_features: int) -> int:
    """Give the rows of a batch without gradients, a multiple of `BLOCK_ROWS`.

    A module that makes much of a row tells by `n_activations` how many numbers its
    widest layer does.
    """
    n_rows = min(EVALUATION_ROWS, _INPUT_BYTES // (4 * n_features))
    n_activations = getattr(module, "n_activations", 0)
    if n_activations > 0:
        n_rows = min(n_rows, _ACTIVATION_BYTES // (4 * n_activations))
    return max(BLOCK_ROWS, n_rows - n_rows % BLOCK_ROWS)


def weight_decay(
    optimizer: Any, n_samples: int, n_features: int, drawn_once: bool = False
) -> float:
    """Keep a denoiser near its linear start if it has few rows for each column.

    Tables with twenty of them are learned by heart without it; with a hundred, it is
    in the way. Noise that is `drawn_once`, in pairs of rows, is learned by heart, too.
    """
    if optimizer != "adamw":
        return 0.0
    factor, most = (50, 6.0) if drawn_once else (25, 2.0)
    return min(most, (factor * n_features / n_samples) ** 2)


def n_epochs(optimizer: Any, n_samples: int, batch_size: int) -> int:
    """Train for as many epochs as make about 2,000 steps; 100 for L-BFGS."""
    if optimizer == "lbfgs":
        return _N_LBFGS_EPOCHS
    return max(1, round(_N_STEPS / math.ceil(n_samples / batch_size)))


def n_phase_epochs(optimizer: Any, n_samples: int, batch_size: int) -> int:
    """Train a single layer for a quarter of the epochs of a whole module."""
    return max(1, round(_PHASE * n_epochs(optimizer, n_samples, batch_size)))


def patience(n_epochs: int) -> int:
    """Wait for a third of the epochs: enough for the plateaus of a schedule."""
    return max(1, math.ceil(n_epochs / 3))
