"""The plain autoencoder."""

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from skae import _checks as checks
from skae._base import BaseAutoencoder
from skae._sklearn_compat import Interval, StrOptions
from skae.modules import DenseAutoencoder
from skae.modules._layers import ACTIVATIONS
from skae.training import centre_and_scale, pca_start


class AutoencoderTransformer(BaseAutoencoder):
    def __init__(
        self,
        n_components: int = 2,
        *,
        hidden_layer_sizes: Any = (100, 100),
        activation: str = "gelu",
        tied_weights: bool = False,
        loss: Any = "squared_error",
        init: str = "auto",
        module: Any = None,
        optimizer: Any = "adam",
        lr: float | str = "auto",
        weight_decay: float = 0.0,
        lr_schedule: Any = "auto",
        max_epochs: int | str = "auto",
        batch_size: int | str = "auto",
        validation_fraction: float | None = 0.1,
        early_stopping: bool = False,
        n_iter_no_change: int | str = "auto",
        tol: float = 1e-4,
        callbacks: list | None = None,
        net_params: dict[str, Any] | None = None,
        device: str | torch.device = "auto",
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.tied_weights = tied_weights
        self.loss = loss
        self.init = init
        self.module = module
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.lr_schedule = lr_schedule
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.callbacks = callbacks
        self.net_params = net_params
        self.device = device
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseAutoencoder._parameter_constraints,
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "tied_weights": ["boolean"],
        "init": [StrOptions({"auto", "pca", "random"})],
        "module": [callable, None],
    }

    def _hidden_widths(self) -> list[int]:
        sizes = self.hidden_layer_sizes
        widths = [sizes] if isinstance(sizes, Integral) else list(sizes)
        if not all(isinstance(width, Integral) and width > 0 for width in widths):
            raise ValueError(
                "hidden_layer_sizes must be positive integers, the encoder's widths "
                f"from input to code. Got {sizes!r}."
            )
        return [int(width) for width in widths]

    def _obstacle_to_pca(self) -> str | None:
        """What keeps the module from starting at PCA."""
        if self.module is not None:
            return "module is given"
        if self.loss == "binary_cross_entropy":
            return "loss='binary_cross_entropy' ends the decoder in a sigmoid"
        if self.tied_weights and self.activation == "logistic":
            return "tied layers with activation='logistic' are never silent"
        return None

    def _start_is_floor(self) -> bool:
        return self.init != "random" and self._obstacle_to_pca() is None

    def _uses_logits(self) -> bool:
        return self.module is None and self.loss == "binary_cross_entropy"

    def _module_factory(self, n_features: int) -> tuple[Any, dict[str, Any]]:
        obstacle = self._obstacle_to_pca()
        if self.init == "pca" and obstacle is not None:
            raise ValueError(
                f"init='pca' is not possible here: {obstacle}. Use init='auto' or "
                "init='random'."
            )
        if self.module is not None:
            return self.module, checks.module_arguments(
                self.module, n_features, self.n_components
            )
        return DenseAutoencoder, {
            "n_features": n_features,
            "n_components": int(self.n_components),
            "hidden_layer_sizes": self._hidden_widths(),
            "activation": self.activation,
            "tied_weights": self.tied_weights,
            "linear_path": self._start_is_floor(),
            "binary_output": self._uses_logits(),
        }

    def _start_module(
        self,
        module: nn.Module,
        X: np.ndarray,
        sample_weight: np.ndarray | None,
        random_state: np.random.RandomState,
    ) -> None:
        if self._start_is_floor():
            start = pca_start(X, self.n_components, sample_weight, random_state)
            module.standardize(torch.as_tensor(start.mean), torch.tensor(start.scale))
            module.start_linear(
                torch.as_tensor(start.encoder_weight),
                torch.as_tensor(start.decoder_weight),
            )
        elif self.module is None and not self._uses_logits():
            mean, scale = centre_and_scale(X, sample_weight)
            module.standardize(torch.as_tensor(mean), torch.tensor(scale))
