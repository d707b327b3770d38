"""Noise for the encoder's input during training.

A noise is a torch module that is active in training mode only. `Noise.fit` computes
what the noise needs from the training rows, such as the unit of its level.
"""

from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

Level = float | tuple[float, float]

# Nodes and weights of Gauss-Legendre quadrature, for means over levels of a range.
_NODES = (-0.9061798459, -0.5384693101, 0.0, 0.5384693101, 0.9061798459)
_WEIGHTS = (0.1184634425, 0.2393143352, 0.2844444444, 0.2393143352, 0.1184634425)

# Attempts at drawing a pattern of missing values that hides something in a row.
_N_DRAWS = 5


class Moments(NamedTuple):
    """Moments of each noisy column at one level.

    Attributes
    ----------
    weight : float
        Probability of the level.

    factor : float
        Slope of the expected noisy entry as a function of the clean one.

    mean, variance : tensors of shape (n_features,)
        Mean and variance of the noisy columns.
    """

    weight: float
    factor: float
    mean: Tensor
    variance: Tensor


class Noise(nn.Module):
    """Base of the noises.

    A subclass overrides `corrupt`. It also overrides `fit` if the noise depends on the
    data, and `moments_at` if the moments are known.

    Parameters
    ----------
    level : float or (float, float)
        Strength of the noise. With a pair ``(low, high)``, each row draws its own level
        in between. Use a pair if the strength of the noise is not known beforehand.

    Attributes
    ----------
    leaves_entries : bool
        Whether some entries stay unchanged.

    needs_rows : bool
        Whether the noise draws from other rows. It then has a method
        ``lend(rows, weight=None)``, as `SwapNoise` does, which is called with the
        training rows before training and with None after it.

    makes_gaps : bool
        Whether entries become NaN. The module must then fill them.
    """

    _highest: float = 1.0
    leaves_entries: bool = True
    needs_rows: bool = False
    makes_gaps: bool = False

    def __init__(self, level: Level) -> None:
        super().__init__()
        pair = level if isinstance(level, Sequence) else (level, level)
        numbers = len(pair) == 2 and all(isinstance(each, Real) for each in pair)
        if not numbers or not 0 <= pair[0] <= pair[1] < self._highest:
            raise ValueError(
                f"{type(self).__name__}: level must be a number in [0, "
                f"{self._highest:g}), or a pair (low, high) of such numbers. "
                f"Got {level!r}."
            )
        self.level = level

    def fit(
        self, X: Tensor, mean: Tensor | None = None, variance: Tensor | None = None
    ) -> Self:
        """Compute what the noise needs from the training rows.

        Parameters
        ----------
        X : tensor of shape (n_samples, n_features)
            Rows.

        mean, variance : tensors of shape (n_features,), default=None
            Mean and variance of the columns. Pass them if they are known already or the
            rows have weights. None computes them from `X`.

        Returns
        -------
        self : Noise
        """
        return self

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return noisy rows.

        Parameters
        ----------
        x : tensor of shape (batch, n_features)
            Rows.

        generator : torch.Generator, default=None
            Source of the random numbers. None uses torch's global generator.

        Returns
        -------
        x_noisy : tensor of shape (batch, n_features)
            Noisy rows in training mode, `x` itself in evaluation mode.
        """
        if not self.training:
            return x
        level: float | Tensor
        if isinstance(self.level, Sequence):
            low, high = self.level
            shape = (len(x),) + (1,) * (x.ndim - 1)
            level = x.new_empty(shape).uniform_(low, high, generator=generator)
        else:
            level = self.level
        return self.corrupt(x, level, generator)

    def corrupt(
        self, x: Tensor, level: float | Tensor, generator: torch.Generator | None
    ) -> Tensor:
        """Return noisy rows; `level` is a number, or one for each row, (batch, 1)."""
        raise NotImplementedError

    def moments(
        self, mean: Tensor, variance: Tensor, clean: tuple[Tensor, Tensor] | None = None
    ) -> list[Moments] | None:
        """Compute the moments of noisy columns, which the best linear denoiser needs.

        Parameters
        ----------
        mean, variance : tensors of shape (n_features,)
            Mean and variance of the columns before this noise.

        clean : pair of tensors of shape (n_features,), default=None
            Mean and variance of the columns before any noise. None means
            ``(mean, variance)``.

        Returns
        -------
        moments : list of Moments or None
            Moments for each possible level. A few levels represent a range. None if the
            moments are not known.
        """
        if isinstance(self.level, Sequence):
            low, high = self.level
            levels = [(low + high + node * (high - low)) / 2 for node in _NODES]
            weights: Sequence[float] = _WEIGHTS
        else:
            levels, weights = [self.level], [1.0]
        clean = (mean, variance) if clean is None else clean
        known = [self.moments_at(level, mean, variance, clean) for level in levels]
        if any(each is None for each in known):
            return None
        return [
            Moments(weight, *each)
            for weight, each in zip(weights, known, strict=True)
            if each is not None
        ]

    def moments_at(
        self,
        level: float,
        mean: Tensor,
        variance: Tensor,
        clean: tuple[Tensor, Tensor],
    ) -> tuple[float, Tensor, Tensor] | None:
        """Return factor, mean and variance of `Moments` at a level; None if unknown."""
        return None

    def extra_repr(self) -> str:
        return f"level={self.level}"


def _exact(x: Tensor) -> torch.dtype:
    """Return the most exact floating-point type that the device of `x` has."""
    return torch.float32 if x.device.type == "mps" else torch.float64


def _hit(
    x: Tensor, probability: float | Tensor, generator: torch.Generator | None
) -> Tensor:
    """Draw which entries are corrupted."""
    return torch.rand(x.shape, generator=generator, device=x.device) < probability


class GaussianNoise(Noise):
    r"""Add independent Gaussian noise to each entry.

    .. math:: \tilde x = x + \sigma s e, \quad e \sim N(0, 1)

    Parameters
    ----------
    level : float or (float, float), default=0.5
        Standard deviation :math:`\sigma` of the noise, in units of the scale
        :math:`s`. The scale is the root of the mean variance of the columns in the rows
        passed to `fit`. On standardised columns it is 1. With a pair, each row draws
        its own :math:`\sigma`.

    Attributes
    ----------
    scale : tensor of shape ()
        :math:`s`; 1 before `fit`.

    References
    ----------
    .. [1] P. Vincent et al., "Stacked denoising autoencoders", Journal of Machine
       Learning Research 11, 2010, section 3.3.

    Examples
    --------
    >>> import torch
    >>> from skae.noise import GaussianNoise
    >>> noise = GaussianNoise(0.1)
    >>> x = torch.ones(10_000, 3)
    >>> generator = torch.Generator().manual_seed(0)
    >>> print(f"{noise(x, generator).std():.2f}")
    0.10
    >>> torch.equal(noise.eval()(x), x)
    True
    """

    scale: Tensor
    _highest = float("inf")
    leaves_entries = False

    def __init__(self, level: Level = 0.5) -> None:
        super().__init__(level)
        self.register_buffer("scale", torch.ones(()))

    def fit(
        self, X: Tensor, mean: Tensor | None = None, variance: Tensor | None = None
    ) -> Self:
        if variance is None:
            variance = X.to(_exact(X)).var(dim=0, correction=0)
        self.scale.copy_(variance.mean().sqrt())
        return self

    def corrupt(
        self, x: Tensor, level: float | Tensor, generator: torch.Generator | None
    ) -> Tensor:
        noise = torch.empty_like(x).normal_(generator=generator)
        return torch.addcmul(x, noise, self.scale * level)

    def moments_at(
        self,
        level: float,
        mean: Tensor,
        variance: Tensor,
        clean: tuple[Tensor, Tensor],
    ) -> tuple[float, Tensor, Tensor]:
        std = level * self.scale.cpu().double()
        return 1.0, mean, variance + std**2


class MaskingNoise(Noise):
    r"""Hide entries at random.

    .. math:: \tilde x = x \text{ with probability } 1 - p, \text{ else } c

    The entries that stay are not rescaled.

    Parameters
    ----------
    level : float or (float, float), default=0.3
        Probability :math:`p` that an entry is hidden, in [0, 1). With a pair, each row
        draws its own.

    fill : float or "mean", default=0.0
        Value :math:`c` of hidden entries: a number in the units of the rows, or the
        mean of the column in the rows passed to `fit`.

    References
    ----------
    .. [1] P. Vincent et al., "Stacked denoising autoencoders", Journal of Machine
       Learning Research 11, 2010, section 3.3.

    Examples
    --------
    >>> import torch
    >>> from skae.noise import MaskingNoise
    >>> noise = MaskingNoise(0.5)
    >>> noise(torch.ones(2, 4), torch.Generator().manual_seed(0))
    tensor([[0., 1., 0., 0.],
            [0., 1., 0., 1.]])
    """

    mean: Tensor

    def __init__(self, level: Level = 0.3, fill: float | str = 0.0) -> None:
        super().__init__(level)
        if isinstance(fill, str) and fill != "mean":
            raise ValueError(
                f"MaskingNoise: fill must be a number or 'mean'. Got {fill!r}."
            )
        self.fill = fill
        self.register_buffer("mean", torch.zeros(()))

    def fit(
        self, X: Tensor, mean: Tensor | None = None, variance: Tensor | None = None
    ) -> Self:
        if self.fill == "mean":
            mean = X.to(_exact(X)).mean(dim=0) if mean is None else mean
            self.mean = mean.to(self.mean)
        return self

    def corrupt(
        self, x: Tensor, level: float | Tensor, generator: torch.Generator | None
    ) -> Tensor:
        hidden = _hit(x, level, generator)
        if isinstance(self.fill, str):
            return torch.where(hidden, self.mean, x)
        return x.masked_fill(hidden, self.fill)

    def moments_at(
        self,
        level: float,
        mean: Tensor,
        variance: Tensor,
        clean: tuple[Tensor, Tensor],
    ) -> tuple[float, Tensor, Tensor]:
        p = level
        fill = clean[0] if isinstance(self.fill, str) else self.fill
        return (
            1 - p,
            (1 - p) * mean + p * fill,
            (1 - p) * variance + p * (1 - p) * (mean - fill) ** 2,
        )

    def extra_repr(self) -> str:
        return f"level={self.level}, fill={self.fill!r}"


class DropoutNoise(Noise):
    r"""Drop entries at random and rescale the others, as a dropout layer does.

    .. math:: \tilde x = x / (1 - p) \text{ with probability } 1 - p, \text{ else } 0

    Parameters
    ----------
    level : float or (float, float), default=0.3
        Probability :math:`p` that an entry is dropped, in [0, 1). With a pair, each row
        draws its own.

    References
    ----------
    .. [1] N. Srivastava et al., "Dropout: a simple way to prevent neural networks from
       overfitting", Journal of Machine Learning Research 15, 2014.

    Examples
    --------
    >>> import torch
    >>> from skae.noise import DropoutNoise
    >>> noise = DropoutNoise(0.5)
    >>> noise(torch.ones(2, 4), torch.Generator().manual_seed(0))
    tensor([[0., 2., 0., 0.],
            [0., 2., 0., 2.]])
    """

    # Entries that are not dropped are rescaled.
    leaves_entries = False

    def __init__(self, level: Level = 0.3) -> None:
        super().__init__(level)

    def corrupt(
        self, x: Tensor, level: float | Tensor, generator: torch.Generator | None
    ) -> Tensor:
        return (x / (1 - level)).masked_fill(_hit(x, level, generator), 0.0)

    def moments_at(
        self,
        level: float,
        mean: Tensor,
        variance: Tensor,
        clean: tuple[Tensor, Tensor],
    ) -> tuple[float, Tensor, Tensor]:
        return 1.0, mean, (variance + level * mean**2) / (1 - level)


class SaltAndPepperNoise(Noise):
    r"""Set entries to the lowest or the highest value of their column.

    .. math::

        \tilde x = x \text{ with probability } 1 - p, \text{ else } x_{\min}
        \text{ or } x_{\max}, \text{ each with probability } p / 2

    Parameters
    ----------
    level : float or (float, float), default=0.1
        Probability :math:`p` that an entry is corrupted, in [0, 1). With a pair, each
        row draws its own.

    Attributes
    ----------
    low, high : tensors of shape () or (n_features,)
        Minimum and maximum of each column in the rows passed to `fit`; 0 and 1 before
        `fit`.

    References
    ----------
    .. [1] P. Vincent et al., "Stacked denoising autoencoders", Journal of Machine
       Learning Research 11, 2010, section 3.3.

    Examples
    --------
    >>> import torch
    >>> from skae.noise import SaltAndPepperNoise
    >>> noise = SaltAndPepperNoise(0.5).fit(torch.tensor([[0.0, 0], [1, 2]]))
    >>> noise(torch.full((3, 2), 0.5), torch.Generator().manual_seed(0))
    tensor([[0.5000, 2.0000],
            [0.0000, 0.0000],
            [0.5000, 0.5000]])
    """

    low: Tensor
    high: Tensor

    def __init__(self, level: Level = 0.1) -> None:
        super().__init__(level)
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.ones(()))

    def fit(
        self, X: Tensor, mean: Tensor | None = None, variance: Tensor | None = None
    ) -> Self:
        low, high = X.aminmax(dim=0)
        self.low, self.high = low.to(self.low), high.to(self.high)
        return self

    def corrupt(
        self, x: Tensor, level: float | Tensor, generator: torch.Generator | None
    ) -> Tensor:
        draw = torch.rand(x.shape, generator=generator, device=x.device)
        x = torch.where(draw < level / 2, self.low, x)
        return torch.where(draw > 1 - level / 2, self.high, x)

    def moments_at(
        self,
        level: float,
        mean: Tensor,
        variance: Tensor,
        clean: tuple[Tensor, Tensor],
    ) -> tuple[float, Tensor, Tensor]:
        p = level
        low, high = self.low.cpu().double(), self.high.cpu().double()
        middle, half = (low + high) / 2, (high - low) / 2
        return (
            1 - p,
            (1 - p) * mean + p * middle,
            (1 - p) * variance + p * half**2 + p * (1 - p) * (mean - middle) ** 2,
        )


class _DrawingNoise(Noise):
    """Base of the noises that draw from other rows."""

    needs_rows = True

    def __init__(self, level: Level) -> None:
        super().__init__(level)
        self.lend(None)

    def lend(self, rows: Tensor | None, weight: Tensor | None = None) -> None:
        """Set the rows to draw from; an estimator passes its training rows.

        Parameters
        ----------
        rows : tensor of shape (n_samples, n_features) or None
            Rows to draw from. None removes them again.

        weight : tensor of shape (n_samples,), default=None
            Relative frequencies of the rows. None draws all rows equally often.
        """
        self.rows = rows
        # torch.multinomial takes at most 2**24 rows.
        self._ends = None if weight is None else weight.to(_exact(weight)).cumsum(0)

    def __getstate__(self) -> dict[str, Any]:
        # A copy or a file must not hold the training rows.
        return {**self.__dict__, "rows": None, "_ends": None}

    def _draw(
        self,
        n_rows: int,
        shape: Sequence[int],
        device: torch.device,
        generator: torch.Generator | None,
    ) -> Tensor:
        """Draw indices below `n_rows`."""
        if self._ends is None:
            return torch.randint(n_rows, shape, generator=generator, device=device)
        ends = self._ends
        draw = torch.rand(shape, generator=generator, device=device, dtype=ends.dtype)
        return torch.searchsorted(ends, draw * ends[-1]).clamp_(max=n_rows - 1)


class SwapNoise(_DrawingNoise):
    r"""Replace entries by the entries of other rows in the same column.

    .. math::

        \tilde x_{ij} = x_{ij} \text{ with probability } 1 - p, \text{ else } x_{kj}
        \text{ of a random row } k

    The new values occur in the same column, so none of them is implausible by itself.
    This suits tables with columns of all kinds.

    Parameters
    ----------
    level : float or (float, float), default=0.15
        Probability :math:`p` that an entry is replaced, in [0, 1). With a pair, each
        row draws its own.

    Attributes
    ----------
    rows : tensor of shape (n_samples, n_features) or None
        Rows to draw from, see `lend`. None draws from the rows of the batch.

    References
    ----------
    .. [1] M. Jahrer, "1st place solution: representation learning", Porto Seguro's
       Safe Driver Prediction, Kaggle, 2017.

    Examples
    --------
    >>> import torch
    >>> from skae.noise import SwapNoise
    >>> noise = SwapNoise(0.5)
    >>> x = torch.tensor([[1, 10], [2, 20], [3, 30], [4, 40]])
    >>> noise(x, torch.Generator().manual_seed(0))
    tensor([[ 1, 10],
            [ 2, 10],
            [ 4, 40],
            [ 4, 40]])
    """

    def __init__(self, level: Level = 0.15) -> None:
        super().__init__(level)

    def corrupt(
        self, x: Tensor, level: float | Tensor, generator: torch.Generator | None
    ) -> Tensor:
        rows = x if self.rows is None else self.rows
        index = self._draw(len(rows), x.shape, x.device, generator)
        return torch.where(_hit(x, level, generator), rows.gather(0, index), x)

    def moments_at(
        self,
        level: float,
        mean: Tensor,
        variance: Tensor,
        clean: tuple[Tensor, Tensor],
    ) -> tuple[float, Tensor, Tensor]:
        p = level
        clean_mean, clean_variance = clean
        return (
            1 - p,
            (1 - p) * mean + p * clean_mean,
            (1 - p) * variance
            + p * clean_variance
            + p * (1 - p) * (mean - clean_mean) ** 2,
        )


class MissingNoise(_DrawingNoise):
    r"""Make entries missing: set them to NaN.

    The noise is for modules that fill missing values first, as those of skae do. By
    default it imitates the training rows: each row also loses the entries that are
    missing in another row, drawn at random. A row keeps at least one value.

    Parameters
    ----------
    level : float, (float, float) or None, default=None
        Probability that an entry is hidden, in [0, 1). With a pair, each row draws its
        own. None: as in other rows, or 0.3 if these have no missing values.

    block : array-like of int of shape (n_features,), default=None
        Number of the block of each column, from 0. The columns of a block, such as the
        levels of one category, are hidden together. None: each column is a block.

    Attributes
    ----------
    rows : bool tensor of shape (n_rows, n_blocks) or None
        True where a value is missing, in the rows passed to `lend` that have missing
        values. None: no such rows.

    Examples
    --------
    >>> import torch
    >>> from skae.noise import MissingNoise
    >>> noise = MissingNoise()
    >>> noise.lend(torch.tensor([[1, torch.nan, 1, torch.nan]]))
    >>> noise(torch.ones(1, 4))
    tensor([[1., nan, 1., nan]])
    """

    makes_gaps = True
    _default_level = 0.3

    def __init__(self, level: Level | None = None, block: Any = None) -> None:
        super().__init__(self._default_level if level is None else level)
        self.level: Any = level
        self.block = None if block is None else torch.as_tensor(block)

    def _of_blocks(self, x: Tensor) -> Tensor:
        """Return the first entry of each block."""
        if self.block is None:
            return x
        block = self.block.to(x.device)
        n_blocks = int(block.max()) + 1
        is_in = block[:, None] == torch.arange(n_blocks, device=x.device)
        return x[:, is_in.to(torch.uint8).argmax(dim=0)]

    def lend(self, rows: Tensor | None, weight: Tensor | None = None) -> None:
        """Set the rows whose missing values are imitated, as :meth:`SwapNoise.lend`."""
        patterns = None
        if rows is not None:
            missing = self._of_blocks(rows.isnan())
            some = missing.any(dim=1)
            if some.any():
                patterns = missing[some]
                weight = None if weight is None else weight[some]
        super().lend(patterns, None if patterns is None else weight)

    def corrupt(
        self, x: Tensor, level: Any, generator: torch.Generator | None
    ) -> Tensor:
        there = self._of_blocks(~x.isnan())
        if level is None and self.rows is not None:
            hidden = self._as_in_other_rows(there, generator)
        else:
            level = self._default_level if level is None else level
            hidden = _hit(there, level, generator) & there
        bare = (hidden == there).all(dim=1)
        if bare.any():
            hidden[bare] &= ~_one_of_each(there[bare], generator)
        if self.block is not None:
            hidden = hidden[:, self.block.to(x.device)]
        return x.masked_fill(hidden, torch.nan)

    def _as_in_other_rows(
        self, there: Tensor, generator: torch.Generator | None
    ) -> Tensor:
        patterns: Any = self.rows
        hidden = torch.zeros_like(there)
        # Noise that hides nothing in a row is useless.
        for _ in range(_N_DRAWS):
            rows = (~hidden.any(dim=1)).nonzero()[:, 0]
            if len(rows) == 0:
                return hidden
            index = self._draw(len(patterns), rows.shape, there.device, generator)
            hidden[rows] = patterns[index] & there[rows]
        rows = (~hidden.any(dim=1)).nonzero()[:, 0]
        hidden[rows] = _one_of_each(there[rows], generator)
        return hidden


def _one_of_each(there: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw one observed entry of each row."""
    draw = torch.rand(there.shape, generator=generator, device=there.device)
    chosen = draw.masked_fill(~there, -1.0).argmax(dim=1, keepdim=True)
    return torch.zeros_like(there).scatter_(1, chosen, True) & there


class Compose(Noise):
    """Apply several noises in turn.

    Parameters
    ----------
    noises : sequence of torch.nn.Module
        Noises of `skae.noise`, or other modules that make rows noisy in training mode.
        Other modules are called with the rows only.

    Examples
    --------
    >>> import torch
    >>> from skae.noise import Compose, GaussianNoise, MaskingNoise
    >>> noise = Compose([GaussianNoise(0.1), MaskingNoise(0.5)])
    >>> noise(torch.ones(100, 10)).shape
    torch.Size([100, 10])
    """

    def __init__(self, noises: Sequence[nn.Module]) -> None:
        super().__init__(0.0)
        for noise in noises:
            if not isinstance(noise, nn.Module):
                raise ValueError(f"Compose takes torch modules. Got {noise!r}.")
        self.noises = nn.ModuleList(noises)
        self.leaves_entries = all(
            getattr(noise, "leaves_entries", True) for noise in noises
        )
        self.makes_gaps = any(getattr(noise, "makes_gaps", False) for noise in noises)

    def fit(
        self, X: Tensor, mean: Tensor | None = None, variance: Tensor | None = None
    ) -> Self:
        for noise in self.noises.modules():
            if isinstance(noise, Noise):
                noise.fit(X, mean, variance)
        return self

    def corrupt(
        self, x: Tensor, level: float | Tensor, generator: torch.Generator | None
    ) -> Tensor:
        for noise in self.noises:
            if type(noise) not in _BUILT_IN:
                x = x.clone()  # it may change its input in place
            x = noise(x, generator) if isinstance(noise, Noise) else noise(x)
        return x

    def moments(
        self, mean: Tensor, variance: Tensor, clean: tuple[Tensor, Tensor] | None = None
    ) -> list[Moments] | None:
        clean = (mean, variance) if clean is None else clean
        all_moments = [Moments(1.0, 1.0, mean, variance)]
        for noise in self.noises:
            parts: list[Moments] = []
            for one in all_moments:
                known = None
                if isinstance(noise, Noise):
                    known = noise.moments(one.mean, one.variance, clean)
                if known is None:
                    return None
                parts += [
                    Moments(
                        one.weight * part.weight,
                        one.factor * part.factor,
                        part.mean,
                        part.variance,
                    )
                    for part in known
                ]
            all_moments = parts
        return all_moments

    def extra_repr(self) -> str:
        return ""


NOISES: dict[str, Callable[..., Noise]] = {
    "dropout": DropoutNoise,
    "gaussian": GaussianNoise,
    "masking": MaskingNoise,
    "missing": MissingNoise,
    "salt_and_pepper": SaltAndPepperNoise,
    "swap": SwapNoise,
}
_BUILT_IN = (*NOISES.values(), Compose, nn.ModuleList)


def make_noise(noise: Any, level: Any = "auto") -> Noise:
    """Make a noise from the values of the parameters `noise` and `noise_level`.

    Parameters
    ----------
    noise : str, torch.nn.Module or list of these
        Name of a noise, "dropout", "gaussian", "masking", "missing", "salt_and_pepper"
        or "swap", a module, or a list of several that are applied in turn.

    level : float, (float, float) or "auto", default="auto"
        Level of the noises given by name. "auto" uses the default of each.

    Returns
    -------
    noise : Noise
        The noise.

    Raises
    ------
    ValueError
        If a name is unknown, the level is out of range, or there is a level but no
        noise given by name.

    Examples
    --------
    >>> from skae.noise import make_noise
    >>> make_noise("masking", 0.2)
    MaskingNoise(level=0.2, fill=0.0)
    """
    noises = noise if isinstance(noise, list) else [noise]
    if not noises:
        raise ValueError("noise is an empty list: name at least one noise in it.")
    for each in noises:
        known = isinstance(each, str) and each in NOISES
        if not known and not isinstance(each, nn.Module):
            raise ValueError(
                f"noise must be {', '.join(map(repr, sorted(NOISES)))}, a torch "
                f"module, or a list of these. Got {each!r}."
            )
    if level != "auto" and not any(isinstance(each, str) for each in noises):
        raise ValueError(
            "noise_level is for noise given by name; a module has its own level. "
            f"Set noise_level='auto'. Got noise_level={level!r} with {noises}."
        )
    given = () if level == "auto" else (level,)
    modules = [
        NOISES[each](*given) if isinstance(each, str) else each for each in noises
    ]
    if len(modules) == 1 and type(modules[0]) in _BUILT_IN:
        return modules[0]
    return Compose(modules)


def draws_globally(noise: Noise) -> bool:
    """Return whether noise may draw from torch's global generator."""
    # Only modules of users can. Those of this file draw from the generator passed.
    return any(type(module) not in _BUILT_IN for module in noise.modules())
