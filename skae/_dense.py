"""Shared parts of estimators with dense layers: their module and its linear start."""

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from torch import nn

from skae import _checks as checks
from skae._code_size import code_size
from skae._plan import Plan
from skae._sklearn_compat import Interval, StrOptions
from skae.losses import as_loss
from skae.modules import DenseAutoencoder
from skae.modules._layers import ACTIVATIONS, INITIALIZERS, linear_weights
from skae.noise import GaussianNoise, Noise, make_noise
from skae.objectives import Reconstruction
from skae.training import AsBuilt, PCAStart, Start, Table, recipe

LAYER_CONSTRAINTS: dict[str, Any] = {
    "hidden_layer_sizes": [
        "array-like",
        Interval(Integral, 1, None, closed="left"),
    ],
    "activation": [StrOptions(set(ACTIVATIONS))],
    "kernel_initializer": [StrOptions({"auto", *INITIALIZERS})],
}
# Level of the noise in training from PCA, in units of the error of PCA.
PCA_NOISE = 0.5


class DenseWeightsMixin:
    """Mixin with the weights of the layers of a dense autoencoder as attributes."""

    module_: nn.Module
    _parameter_constraints: ClassVar[dict[str, Any]]

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
                f"{half}_weights_ lists the layers of the built-in module, and "
                f"{type(module).__name__} is another one. Use module_."
            )
        weights = linear_weights(getattr(module, half))
        return [weight.detach().cpu().numpy().copy() for weight in weights]


def hidden_widths(estimator: Any) -> list[int]:
    """Return the widths of the encoder's hidden layers."""
    return checks.layer_widths(
        estimator.hidden_layer_sizes,
        "hidden_layer_sizes",
        "the encoder's widths from input to code",
    )


def dense_decisions(
    estimator: Any, table: Table, n_components: int, closed_form: str
) -> tuple[dict[str, Any], bool]:
    """Choose the module, the loss and the start of a dense autoencoder.

    Parameters
    ----------
    estimator : estimator
        Estimator with the parameters of dense layers.

    table : Table
        Training rows.

    n_components : int
        Size of the code.

    closed_form : str
        Value of `init` for a linear start in closed form.

    Returns
    -------
    decisions : dict
        Fields of a plan.

    is_linear : bool
        Whether the start is linear, in closed form; the caller sets it.
    """
    module, loss = getattr(estimator, "module", None), as_loss(estimator.loss)
    obstacle = None
    if module is not None:
        obstacle = "module is given"
    elif loss.has_link:
        obstacle = f"loss={estimator.loss!r} ends the decoder in a {loss.link}"
    elif estimator.tied_weights and estimator.activation == "logistic":
        obstacle = "tied layers with activation='logistic' never output zero"
    if estimator.init == closed_form and obstacle is not None:
        raise ValueError(
            f"init={estimator.init!r} is not possible here: {obstacle}. Use "
            "init='auto' or init='random'."
        )
    is_linear = estimator.init != "random" and obstacle is None
    if module is not None:
        return {
            "module": module,
            "arguments": checks.module_arguments(
                module, table.n_features, n_components
            ),
            "is_user_module": True,
        }, is_linear
    return {
        "module": DenseAutoencoder,
        "arguments": {
            "n_features": table.n_features,
            "n_components": n_components,
            "hidden_layer_sizes": hidden_widths(estimator),
            "activation": estimator.activation,
            "kernel_initializer": estimator.kernel_initializer,
            "tied_weights": estimator.tied_weights,
            "linear_path": is_linear,
            "link": loss.link,
        },
        **loss_decisions(estimator.loss),
        "start": Start() if not loss.has_link else AsBuilt(),
    }, is_linear


def loss_decisions(loss: Any) -> dict[str, Any]:
    """Choose the criterion and the objective of a built-in module."""
    loss = as_loss(loss)
    if loss.logits_criterion is None:
        return {"criterion": loss.criterion, "objective": Reconstruction()}
    return {
        "criterion": loss.logits_criterion,
        "objective": Reconstruction(link=loss.link),
    }


def noise_asked_for(estimator: Any, noise: Any) -> Noise:
    """Return the noise that the parameters of an estimator set."""
    refuse_lbfgs(estimator)
    made = make_noise(noise, estimator.noise_level)
    if made.makes_gaps and not estimator._takes_gaps:
        raise ValueError(
            f"noise={noise!r} makes values NaN, and {estimator.module!r} does not "
            "declare that it accepts them. If it does, set its attribute "
            "allow_nan=True."
        )
    return made


def refuse_lbfgs(estimator: Any) -> None:
    """Raise a ValueError if the optimizer is L-BFGS, which cannot use noise."""
    if recipe.is_lbfgs(estimator.optimizer):
        raise ValueError(
            "optimizer='lbfgs' needs the same loss in each evaluation, and noise is "
            "drawn anew each time. Use another optimizer."
        )


def pca_noise(estimator: Any) -> Noise | None:
    """Return the noise in training from a PCA start."""
    noisy = not recipe.is_lbfgs(estimator.optimizer)
    return GaussianNoise(PCA_NOISE) if noisy else None


def plan_from_pca(
    estimator: Any, table: Table, noise: Any = None, **others: Any
) -> Plan:
    """Plan the training of a dense autoencoder that starts as PCA.

    Parameters
    ----------
    estimator : estimator
        Estimator with the parameters of dense layers.

    table : Table
        Training rows.

    noise : str, torch.nn.Module, list or None, default=None
        Noise that the user sets. None is the noise in training from a PCA start.

    **others : dict
        Further fields of the plan.
    """
    n_components = code_size(estimator)
    decisions, is_linear = dense_decisions(estimator, table, n_components, "pca")
    decisions["fits_noise"] = noise is not None
    if noise is not None:
        decisions["noise"] = noise_asked_for(estimator, noise)
    elif is_linear:
        decisions["noise"] = pca_noise(estimator)
    if is_linear:
        scales_noise = noise is None and decisions["noise"] is not None
        start = PCAStart(n_components, scales_noise)
        decisions.update(start=start, floor=start)
    return estimator._planned(len(table), **{**decisions, **others})
