"""The autoencoder that a classifier or a regressor starts from."""

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from skae import _checks as checks
from skae._base import BaseAutoencoder
from skae._denoising import DenoisingAutoencoder
from skae.training import (
    Table,
    check_made,
    fit_fill,
    making_module,
    prepare_for_gaps,
    private_draws,
    standardize,
)


def default_pretrainer(
    n_features: int, seed: int, device: Any, verbose: int
) -> BaseAutoencoder:
    """Make the autoencoder for `pretrainer=None`."""
    return DenoisingAutoencoder(
        n_components=int(np.clip(n_features // 2, 4, 32)),
        noise="swap",
        noise_level=0.3,
        hidden_layer_sizes=(100, 100),
        # From PCA, the linear path has the information, and not the hidden layers that
        # the head uses.
        init="random",
        device=device,
        verbose=verbose,
        random_state=seed,
    )


def made_pretrainer(
    estimator: Any, X: Any, n_features: int, seed: int
) -> BaseAutoencoder:
    """Return the pretrainer of an estimator; a frozen one is fitted.

    Parameters
    ----------
    estimator : estimator
        Estimator with the parameter `pretrainer`.

    X : array-like of shape (n_samples, n_features)
        Training rows, for the names of the columns.

    n_features : int
        Number of columns.

    seed : int
        Random state, if the pretrainer has none.
    """
    if estimator.pretrainer is None:
        device = checks.check_device(estimator.device)
        return default_pretrainer(n_features, seed, device, estimator.verbose)
    frozen = isinstance(estimator.pretrainer, FrozenEstimator)
    given = estimator.pretrainer
    pretrainer = given.estimator if frozen else given
    if not isinstance(pretrainer, BaseAutoencoder):
        raise ValueError(
            "pretrainer must be an autoencoder of skae, such as "
            "AutoencoderTransformer(10), or a fitted one inside "
            f"sklearn.frozen.FrozenEstimator. Got {estimator.pretrainer!r}."
        )
    if not pretrainer._module_takes_rows:
        name = type(pretrainer).__name__
        raise ValueError(
            f"{name} cannot be a pretrainer: the input of its module is an encoded "
            "table, not the rows of X. Put a TableEncoder before this estimator in a "
            "pipeline, and use another pretrainer, such as AutoencoderTransformer."
        )
    if frozen:
        check_is_fitted(pretrainer)
        # With scikit-learn's messages about other columns.
        validate_data(pretrainer, X, reset=False, skip_check_array=True)
        return pretrainer
    pretrainer = clone(pretrainer)
    if pretrainer.random_state is None:
        pretrainer.set_params(random_state=seed)
    return pretrainer


def random_module(
    pretrainer: BaseAutoencoder, table: Table, seed: int
) -> tuple[nn.Module, dict[str, Any]]:
    """Build the untrained module of a pretrainer, with the scale of the input.

    Also return its arguments.
    """
    fitted = hasattr(pretrainer, "net_")
    scaled_by_rows = False
    if fitted:
        net = pretrainer.net_
        factory, arguments = net.module, net.get_params_for("module")
    else:
        pretrainer._validate_params()
        plan = pretrainer._plan(pretrainer._table(table.inputs, reset=True))
        factory, arguments = plan.module, plan.arguments
        scaled_by_rows = plan.is_user_module or plan.start.standardizes
        if plan.is_user_module:
            checks.check_module_arguments(factory, arguments)
    if isinstance(factory, nn.Module):
        raise ValueError(
            "pretrain=False builds the module of the pretrainer again, but the module "
            f"is an instance of {type(factory).__name__}: pass its class, or a "
            "function that makes it."
        )
    with making_module(factory), private_draws(seed, pretrainer._has_user_module):
        module = factory(**arguments)
    check_made(module)
    module = module.float()
    if hasattr(module, "standardize") and fitted:
        trained = net.plain_module_
        module.standardize(trained.mean.cpu(), trained.scale.cpu())
        if pretrainer._takes_new_gaps and not pretrainer._has_user_module:
            module.fill.load_state_dict(trained.fill.state_dict())
        return module, arguments
    if pretrainer._takes_gaps and not pretrainer._has_user_module:
        if table.missing:
            table = fit_fill(module, table, seed)
        prepare_for_gaps(module, table, seed)
    if hasattr(module, "standardize") and scaled_by_rows:
        standardize(module, table.columns)
    return module, arguments
