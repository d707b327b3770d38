"""Starts: states of a net before the first step, most of them in closed form.

A floor, which training has to beat, is also a start.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from skae.training._atoms import set_atoms, set_signed_axes
from skae.training._gaussian import fit_factor_analysis, fit_probabilistic_pca
from skae.training._linear_denoiser import fit_denoiser, fit_paired_denoiser
from skae.training._mixed_pca import fit_mixed_pca, mean_logits
from skae.training._net import AutoencoderNet
from skae.training._pca import fit_pca
from skae.training._statistics import Columns
from skae.training._streaming import float_tensor
from skae.training._table import Table


def standardize(module: Any, columns: Columns) -> None:
    """Set the centre and the scale of a module's input to those of the columns."""
    module.standardize(
        torch.as_tensor(columns.mean), torch.tensor(columns.scale, dtype=torch.float64)
    )


@dataclass(frozen=True)
class Start:
    """Base of the starts: rows are centred and scaled, and weights are random.

    A subclass overrides `set_weights`. It has a name if its state is a useful model,
    such as PCA.
    """

    # None if the state is not a useful model.
    name: ClassVar[str | None] = None
    # Whether the start sets the centre and the scale from training rows.
    standardizes: ClassVar[bool] = True
    # Whether rows may have gaps, because the start needs only their moments.
    takes_gaps: ClassVar[bool] = False

    def set(
        self, net: AutoencoderNet, table: Table, random_state: np.random.RandomState
    ) -> None:
        """Set the state of a net from training rows."""
        table = table.filled()
        columns = table.columns
        standardize(net.plain_module_, columns)
        self.set_weights(net, table, columns, random_state)

    def set_weights(
        self,
        net: AutoencoderNet,
        table: Table,
        columns: Columns,
        random_state: np.random.RandomState,
    ) -> None:
        """Set the weights of a module whose centre and scale are set."""

    def keep(self, net: AutoencoderNet, state: dict[str, torch.Tensor]) -> None:
        """Set the trained state of a net that has the floor of all rows."""
        net.plain_module_.load_state_dict(state)


@dataclass(frozen=True)
class AsBuilt(Start):
    """The module as it was built, with or without centring."""

    standardizes: ClassVar[bool] = False

    def set(self, *arguments: Any) -> None:
        """Do not change the state."""


@dataclass(frozen=True)
class EarlierFit(Start):
    """The state of an earlier fit.

    Parameters
    ----------
    net : AutoencoderNet
        The net of that fit.

    with_noise : bool
        Whether the state of the noise is also that of the earlier fit.
    """

    net: AutoencoderNet
    with_noise: bool

    name: ClassVar[str | None] = "the earlier fit"
    standardizes: ClassVar[bool] = False

    def set(self, net: AutoencoderNet, *arguments: Any) -> None:
        """Set the state of a net with the same architecture."""
        try:
            earlier = self.net.plain_module_.state_dict()
            # The new rows determine how gaps are filled.
            fill = {
                name: value
                for name, value in net.plain_module_.state_dict().items()
                if name.startswith("fill.")
            }
            net.plain_module_.load_state_dict({**earlier, **fill})
            if net.noise_ is not None and self.with_noise:
                net.noise_.load_state_dict(self.net.noise_.state_dict())
        except RuntimeError as error:
            raise ValueError(
                "warm_start=True continues from the fitted module, but the parameters "
                "now define another module. Set them back, or set warm_start=False. "
                f"{error}"
            ) from error


@dataclass(frozen=True)
class PCAStart(Start):
    """PCA.

    Parameters
    ----------
    n_components : int
        Size of the code.

    scales_noise : bool, default=False
        Whether the scale of the net's noise becomes the root mean squared error of PCA.
    """

    n_components: int
    scales_noise: bool = False

    name: ClassVar[str | None] = "PCA"

    def set_weights(
        self,
        net: AutoencoderNet,
        table: Table,
        columns: Columns,
        random_state: np.random.RandomState,
    ) -> None:
        linear, residual = fit_pca(table, columns, self.n_components, random_state)
        net.plain_module_.start_linear(*map(torch.as_tensor, linear[:2]))
        if self.scales_noise:
            net.noise_.scale.fill_(residual)


@dataclass(frozen=True)
class LinearDenoiser(Start):
    """The best linear denoiser, for the noise of the net or for pairs of rows.

    Parameters
    ----------
    n_components : int
        Size of the code.

    tied : bool, default=False
        Whether the decoder's weights are the transposes of the encoder's.
    """

    n_components: int
    tied: bool = False

    name: ClassVar[str | None] = "best linear denoiser"

    def set_weights(
        self,
        net: AutoencoderNet,
        table: Table,
        columns: Columns,
        random_state: np.random.RandomState,
    ) -> None:
        generator = torch.Generator(net.device).manual_seed(_seed(random_state))

        def corrupt(X: np.ndarray) -> np.ndarray:
            rows = float_tensor(X, net.device, copy=True)
            noisy = net.corrupt(rows, generator)
            return net.plain_module_.fill(noisy).cpu().numpy()

        linear = fit_denoiser(
            table,
            columns,
            self.n_components,
            net.noise_,
            corrupt,
            random_state,
            tied=self.tied,
        )
        net.plain_module_.start_linear(*map(torch.as_tensor, linear))


@dataclass(frozen=True)
class GaussianStart(Start):
    """The Gaussian of an imputing network, without corrections by the network."""

    name: ClassVar[str | None] = "the Gaussian imputer"
    takes_gaps: ClassVar[bool] = True

    def set(
        self, net: AutoencoderNet, table: Table, random_state: np.random.RandomState
    ) -> None:
        """Set the state of a net whose layer `fill` is fitted already."""
        columns = table.columns
        rows: Any = table.sample().inputs
        varies = np.fmax.reduce(rows) > np.fmin.reduce(rows)
        # A constant has a tiny deviation by rounding, which must not be scaled up.
        scale = np.where(
            varies, np.sqrt(columns.variance), np.abs(columns.mean).clip(min=1)
        )
        net.plain_module_.standardize(*map(torch.as_tensor, (columns.mean, scale)))
        net.plain_module_.silence()

    def keep(self, net: AutoencoderNet, state: dict[str, torch.Tensor]) -> None:
        """Set the trained layers, and keep the Gaussian of all rows."""
        gaussian = {
            name: value
            for name, value in net.plain_module_.state_dict().items()
            if name.startswith("fill.")
        }
        trained = {name: v for name, v in state.items() if not name.startswith("fill.")}
        net.plain_module_.load_state_dict({**trained, **gaussian})


@dataclass(frozen=True)
class MixedStart(Start):
    """Random weights, with a decoder that returns the mean row at the start."""

    def set(
        self, net: AutoencoderNet, table: Table, random_state: np.random.RandomState
    ) -> None:
        """Set the state of a net whose loss is a `MixedLoss`."""
        module, loss = net.plain_module_, net.criterion_
        columns = table.columns
        # The variance of numbers is one, and that of categories is about one.
        module.standardize(torch.as_tensor(columns.mean), torch.ones(()))
        module.mixed_link.load_state_dict(loss.link.state_dict())
        self.set_weights(net, table, columns, random_state)

    def set_weights(
        self,
        net: AutoencoderNet,
        table: Table,
        columns: Columns,
        random_state: np.random.RandomState,
    ) -> None:
        bias = torch.as_tensor(mean_logits(columns.mean, net.criterion_) - columns.mean)
        module = net.plain_module_
        with torch.no_grad():
            module.decoder[-1].bias.add_(bias.to(module.mean))


@dataclass(frozen=True)
class MixedPCA(MixedStart):
    """PCA of numbers and categories, with a decoder that is linear before its link.

    Parameters
    ----------
    n_components : int
        Size of the code.
    """

    n_components: int

    name: ClassVar[str | None] = "PCA of mixed data"

    def set_weights(
        self,
        net: AutoencoderNet,
        table: Table,
        columns: Columns,
        random_state: np.random.RandomState,
    ) -> None:
        linear = fit_mixed_pca(
            table, columns, net.criterion_, self.n_components, random_state
        )
        net.plain_module_.start_linear(*map(torch.as_tensor, linear))


@dataclass(frozen=True)
class TargetUnits(Start):
    """Random weights; inputs and targets are centred and scaled separately."""

    def set_weights(
        self,
        net: AutoencoderNet,
        table: Table,
        columns: Columns,
        random_state: np.random.RandomState,
    ) -> None:
        targets = _target_statistics(table)
        net.plain_module_.standardize_output(
            torch.as_tensor(targets.mean), torch.tensor(targets.scale)
        )


@dataclass(frozen=True)
class PairedDenoiser(TargetUnits):
    """The best linear map from inputs to targets.

    The parameters are those of :class:`LinearDenoiser`.
    """

    n_components: int
    tied: bool = False

    name: ClassVar[str | None] = "best linear denoiser"

    def set_weights(
        self,
        net: AutoencoderNet,
        table: Table,
        columns: Columns,
        random_state: np.random.RandomState,
    ) -> None:
        super().set_weights(net, table, columns, random_state)
        linear = fit_paired_denoiser(
            table,
            columns.mean,
            _target_statistics(table).scale / columns.scale,
            self.n_components,
            random_state,
            tied=self.tied,
        )
        net.plain_module_.start_linear(*map(torch.as_tensor, linear))


@dataclass(frozen=True)
class ProbabilisticPCA(Start):
    """Probabilistic PCA, as a variational autoencoder.

    Parameters
    ----------
    n_components : int
        Size of the code.
    """

    n_components: int

    name: ClassVar[str | None] = "probabilistic PCA"
    _fit: ClassVar[Callable[..., Any]] = staticmethod(fit_probabilistic_pca)

    def set_weights(
        self,
        net: AutoencoderNet,
        table: Table,
        columns: Columns,
        random_state: np.random.RandomState,
    ) -> None:
        model = self._fit(table, columns, self.n_components, random_state)
        net.plain_module_.start_linear(*map(torch.as_tensor, model))


@dataclass(frozen=True)
class FactorAnalysisStart(ProbabilisticPCA):
    """Factor analysis, as a variational autoencoder."""

    name: ClassVar[str | None] = "factor analysis"
    _fit: ClassVar[Callable[..., Any]] = staticmethod(fit_factor_analysis)


@dataclass(frozen=True)
class Atoms(Start):
    """Rows as the atoms of a sparse autoencoder.

    Parameters
    ----------
    activity : float
        Mean of codes in [0, 1]. Not used for other codes.
    """

    activity: float

    def set_weights(
        self,
        net: AutoencoderNet,
        table: Table,
        columns: Columns,
        random_state: np.random.RandomState,
    ) -> None:
        set_atoms(net.plain_module_, table, columns, self.activity, random_state)


@dataclass(frozen=True)
class SignedPCA(Start):
    """PCA as a sparse autoencoder: two units for each axis, one for each sign.

    Parameters
    ----------
    n_axes : int
        Maximum number of axes. PCA may have fewer.
    """

    n_axes: int

    name: ClassVar[str | None] = "signed PCA"

    def set_weights(
        self,
        net: AutoencoderNet,
        table: Table,
        columns: Columns,
        random_state: np.random.RandomState,
    ) -> None:
        n_axes = max(1, min(self.n_axes, len(table), table.n_features))
        linear, _ = fit_pca(table, columns, n_axes, random_state)
        set_signed_axes(net.plain_module_, linear.encoder_weight)


def _target_statistics(table: Table) -> Columns:
    table = Table(table.reconstructed, weight=table.weight)
    return table.columns


def _seed(random_state: np.random.RandomState) -> int:
    return int(random_state.randint(2**31 - 1))
