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
from skae.modules._layers import ACTIVATIONS, INITIALIZERS, linear_weights
from skae.noise import GaussianNoise, Noise, draws_globally, make_noise
from skae.training import (
    AutoencoderNet,
    Columns,
    LinearStart,
    Table,
    dense_rows,
    float_tensor,
    pca_start,
    standardize,
    start_statistics,
)


class BaseDenseAutoencoder(BaseAutoencoder):
    """Base of the dense autoencoders, whose linear path starts in closed form.

    A subclass overrides `_linear_start`.
    """

    _module_class = DenseAutoencoder
    # The value of `init` for the start that `_linear_start` gives.
    _linear_init: ClassVar[str]

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **FittedByTraining._parameter_constraints,
        "hidden_layer_sizes": [
            "array-like",
            Interval(Integral, 1, None, closed="left"),
        ],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "kernel_initializer": [StrOptions({"auto", *INITIALIZERS})],
        "tied_weights": ["boolean"],
    }

    @property
    def encoder_weights_(self) -> list[np.ndarray]:
        """Weights of the encoder's layers, from input to code."""
        return self._weights("encoder")

    @property
    def decoder_weights_(self) -> list[np.ndarray]:
        """Weights of the decoder's layers, from code to output."""
        return self._weights("decoder")

    def _weights(self, half: str) -> list[np.ndarray]:
        module = self.module_
        if not isinstance(module, DenseAutoencoder):
            raise AttributeError(
                f"{half}_weights_ lists the layers of the built-in module; "
                f"{type(module).__name__} is another one. Look at module_."
            )
        weights = linear_weights(getattr(module, half))
        return [weight.detach().cpu().numpy().copy() for weight in weights]

    @abstractmethod
    def _linear_start(
        self,
        net: AutoencoderNet,
        X: Table,
        columns: Columns,
        sample_weight: np.ndarray | None,
    ) -> LinearStart:
        """Weights of the linear path before the first step."""

    def _code_size(self, X: Table) -> int:
        return int(self.n_components)

    def _hidden_widths(self) -> list[int]:
        return checks.layer_widths(
            self.hidden_layer_sizes,
            "hidden_layer_sizes",
            "the encoder's widths from input to code",
        )

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

    def _module_factory(
        self, X: Table, stream: bool = False
    ) -> tuple[Any, dict[str, Any]]:
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
        return self._module_class, {
            "n_features": X.shape[1],
            "n_components": n_components,
            "hidden_layer_sizes": self._hidden_widths(),
            "activation": self.activation,
            "kernel_initializer": self.kernel_initializer,
            "tied_weights": self.tied_weights,
            "linear_path": self._start_is_floor(),
            "binary_output": self._uses_logits(),
        }

    def _start(
        self, net: AutoencoderNet, X: Table, sample_weight: np.ndarray | None
    ) -> None:
        if self.module is not None or self._uses_logits():
            return
        columns = standardize(net.plain_module_, X, sample_weight)
        if self._start_is_floor():
            start = self._linear_start(net, X, columns, sample_weight)
            net.plain_module_.start_linear(*map(torch.as_tensor, start))

    def _noise_asked_for(self) -> Noise:
        if self._uses_lbfgs():
            raise ValueError(
                "optimizer='lbfgs' needs the same loss each time it asks for it, and "
                "noise is drawn anew each time. Use another optimizer."
            )
        noise = "gaussian" if self.noise == "auto" else self.noise
        return make_noise(noise, self.noise_level)

    def _fit_noise(
        self, net: AutoencoderNet, X: Table, sample_weight: np.ndarray | None
    ) -> None:
        if self.noise is None:
            return
        columns = start_statistics(X, sample_weight)
        X, _ = dense_rows(X, sample_weight)
        with net.guarded():
            rows = float_tensor(X, copy=draws_globally(net.noise_))
            net.noise_.fit(rows, *map(torch.as_tensor, columns))
        checks.check_noise(net, float_tensor(X[:2], net.device, copy=True))


# Level of the noise in training, in units of what PCA leaves over.
_NOISE = 0.5


class BasePCAAutoencoder(BaseDenseAutoencoder):
    """Base of the dense autoencoders that start as PCA."""

    _linear_init = "pca"

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseDenseAutoencoder._parameter_constraints,
        "init": [StrOptions({"auto", "pca", "random"})],
    }

    def _noise(self) -> Noise | None:
        # L-BFGS needs the same loss each time it asks for it.
        noisy = self._start_is_floor() and not self._uses_lbfgs()
        return GaussianNoise(_NOISE) if noisy else None

    def _linear_start(
        self,
        net: AutoencoderNet,
        X: Table,
        columns: Columns,
        sample_weight: np.ndarray | None,
    ) -> LinearStart:
        start, residual = pca_start(
            X, columns, self.n_components, sample_weight, self._rng
        )
        if self.noise is None and net.noise_ is not None:
            net.noise_.scale.fill_(residual)
        return start
