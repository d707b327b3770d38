"""What the estimators with dense layers share."""

from abc import abstractmethod
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import torch

from skae import _checks as checks
from skae._base import BaseAutoencoder
from skae._fitting import FittedByTraining
from skae._sklearn_compat import Interval, StrOptions
from skae.modules import DenseAutoencoder
from skae.modules._layers import ACTIVATIONS
from skae.training import AutoencoderNet, Columns, LinearStart, column_statistics


class BaseDenseAutoencoder(BaseAutoencoder):
    """Base of the dense autoencoders, whose linear path starts in closed form.

    A subclass overrides `_linear_start`.
    """

    # The value of `init` for the start that `_linear_start` gives.
    _linear_init: ClassVar[str]

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **FittedByTraining._parameter_constraints,
        "hidden_layer_sizes": [
            "array-like",
            Interval(Integral, 1, None, closed="left"),
        ],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "tied_weights": ["boolean"],
        "module": [callable, None],
    }

    @abstractmethod
    def _linear_start(
        self,
        net: AutoencoderNet,
        X: np.ndarray,
        columns: Columns,
        sample_weight: np.ndarray | None,
    ) -> LinearStart:
        """Weights of the linear path before the first step."""

    def _code_size(self, X: np.ndarray) -> int:
        return int(self.n_components)

    def _hidden_widths(self) -> list[int]:
        sizes = self.hidden_layer_sizes
        widths = [sizes] if isinstance(sizes, Integral) else list(sizes)
        if not all(isinstance(width, Integral) and int(width) > 0 for width in widths):
            raise ValueError(
                "hidden_layer_sizes must be positive integers, the encoder's widths "
                f"from input to code. Got {sizes!r}."
            )
        return [int(width) for width in widths]

    def _obstacle_to_linear_start(self) -> str | None:
        """Tell what keeps the module from starting in closed form."""
        if self.module is not None:
            return "module is given"
        if self.loss == "binary_cross_entropy":
            return "loss='binary_cross_entropy' ends the decoder in a sigmoid"
        if self.tied_weights and self.activation == "logistic":
            return "tied layers with activation='logistic' are never silent"
        return None

    def _start_is_floor(self) -> bool:
        return self.init != "random" and self._obstacle_to_linear_start() is None

    def _uses_logits(self) -> bool:
        return self.module is None and self.loss == "binary_cross_entropy"

    def _module_factory(self, X: np.ndarray) -> tuple[Any, dict[str, Any]]:
        obstacle = self._obstacle_to_linear_start()
        if self.init == self._linear_init and obstacle is not None:
            raise ValueError(
                f"init={self.init!r} is not possible here: {obstacle}. Use init='auto' "
                "or init='random'."
            )
        n_components = self._code_size(X)
        if self.module is not None:
            return self.module, checks.module_arguments(
                self.module, X.shape[1], n_components
            )
        return DenseAutoencoder, {
            "n_features": X.shape[1],
            "n_components": n_components,
            "hidden_layer_sizes": self._hidden_widths(),
            "activation": self.activation,
            "tied_weights": self.tied_weights,
            "linear_path": self._start_is_floor(),
            "binary_output": self._uses_logits(),
        }

    def _start(
        self, net: AutoencoderNet, X: np.ndarray, sample_weight: np.ndarray | None
    ) -> None:
        centred = self.module is None and not self._uses_logits()
        if not centred and net.noise_ is None:
            return
        columns = column_statistics(X, sample_weight)
        if centred:
            net.plain_module_.standardize(
                torch.as_tensor(columns.mean), torch.tensor(columns.scale)
            )
            checks.check_offset(columns.mean, columns.scale)
        self._start_noise(net, X, columns)
        if self._start_is_floor():
            start = self._linear_start(net, X, columns, sample_weight)
            net.plain_module_.start_linear(*map(torch.as_tensor, start))

    def _start_noise(
        self, net: AutoencoderNet, X: np.ndarray, columns: Columns
    ) -> None:
        """Fit the noise to the training rows."""
