"""Sampler that draws new rows with an autoencoder."""

import math
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr
from sklearn.base import BaseEstimator
from sklearn.utils import Tags, get_tags
from sklearn.utils.validation import check_is_fitted, validate_data

from skae import _checks as checks
from skae._autoencoder import AutoencoderTransformer
from skae._doc_link import DocLinkMixin
from skae._frames import frame_type
from skae._inputs import check_is_table
from skae._mixture import fit_mixture
from skae._report import unchanged_on_error
from skae._sampled_rows import MAX_ROWS, NumberRows, rows_of, some
from skae._sklearn_compat import HasMethods, fit_context
from skae._tasks import CallbackSupportMixin, FitTasks
from skae._wrapped import seeded_clone, steps_of
from skae.training import private_generator

# Levels of the quantiles of each column. They are closer together in the tails.
N_LEVELS = 501
_LEVELS = ndtr(np.linspace(-3.5, 3.5, N_LEVELS))
# Few generated rows must not compensate for a level that hardly any of them has.
_MIN_PROBABILITY = 1e-6
_N_FACTOR_STEPS = 20
_TINY = np.finfo(np.float64).tiny


class AutoencoderSampler(DocLinkMixin, CallbackSupportMixin, BaseEstimator):
    """Draw new rows with an autoencoder or another invertible transformer.

    A Gaussian mixture is fitted to the codes of the rows. To draw a new row, a code is
    drawn from the mixture and decoded. Normal noise is added, with the standard
    deviation of the reconstruction error in each column. Each column is then mapped so
    that it has the same distribution as in the training rows. So integers stay
    integers, and a column that is often zero stays zero as often.

    With a :class:`TableAutoencoder`, new rows are a table like that of `fit`: levels of
    categories are drawn from their probabilities, and values are missing as often and
    in the same patterns.

    The sampler is an estimator of its own because autoencoders store nothing of the
    rows that they were fitted to. It can be fitted to other rows than the autoencoder:
    to the rows of one class, for instance.

    Parameters
    ----------
    autoencoder : estimator or None, default=None
        Estimator that encodes rows with `transform` and decodes codes with
        `inverse_transform`: for instance an autoencoder of skae, a pipeline of
        :class:`~sklearn.preprocessing.StandardScaler` and an autoencoder, a
        :class:`TableAutoencoder` for columns of any kind, or
        :class:`~sklearn.decomposition.PCA`. It is cloned and fitted to the rows. If its
        `random_state` is None, it is set to a seed. To use a fitted estimator without a
        new fit, pass it inside a :class:`sklearn.frozen.FrozenEstimator`. None uses
        :class:`AutoencoderTransformer`.

    random_state : int, RandomState instance or None, default=None
        Determines the fit, and also the fit of the autoencoder if its `random_state` is
        None. None takes a new seed from the operating system.

    Attributes
    ----------
    autoencoder_ : estimator
        The fitted autoencoder.

    weights_ : ndarray of shape (n_mixture,)
        Weights of the components of the mixture.

    means_ : ndarray of shape (n_mixture, n_components)
        Means of the components of the mixture.

    covariances_ : ndarray of shape (n_mixture, n_components, n_components)
        Covariances of the components of the mixture.

    residual_std_ : ndarray of shape (n_features,) or (n_numbers,)
        Root mean squared error of the reconstruction of each column. It is the standard
        deviation of the noise. With a `TableAutoencoder`, it is that of each number and
        date, in standard deviations of the column.

    n_features_in_ : int
        Number of columns of `X` in `fit`.

    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if all of them are strings.

    See Also
    --------
    VariationalAutoencoder : Its `sample` draws codes from their prior and needs no
        training rows; this class draws codes from a mixture fitted to codes of rows.
    sklearn.mixture.GaussianMixture : A mixture of rows, without an autoencoder.

    Notes
    -----
    The mixture has full covariances. Its number of components is doubled from 1 to 32
    for as long as the Bayesian information criterion (BIC) falls. The mixture, the
    noise and the distributions of the columns are estimated from at most 4,000 rows,
    drawn at random. Fewer rows are used if 4,000 would take more than 128 MiB as
    float32.

    The map of a column goes from the distribution of 4,000 generated rows to that of
    the training rows. A new row therefore does not depend on the number of rows that
    are drawn with it. The distributions are stored as 501 quantiles, down to 0.02 % in
    the tails, and no new value lies outside the range of the training values. If a
    column has only whole numbers, or at most half as many different values as rows, its
    new values are training values. In other columns they lie between training values.
    So new rows contain values of the training rows, and sampling is no anonymisation.

    With a `TableAutoencoder`, `reg_covar` of the mixture is 0.01 for codes of unit
    variance, as codes of rows with the same categories are nearly the same. The missing
    values of a row are drawn from the patterns of the training rows of its mixture
    component. The probabilities of the levels are multiplied by factors, so that their
    mean over generated rows is their share in the training rows. Given the code, levels
    are drawn independently for each column: a dependence that the code does not
    represent, for instance that two levels exclude each other, is missing in the new
    rows, too.

    To see what codes represent, decode the result of `sample_codes`, which adds no
    noise.

    References
    ----------
    .. [1] P. Ghosh, M. S. M. Sajjadi, A. Vergari, M. Black and B. Schölkopf, "From
       variational to deterministic autoencoders", ICLR 2020, arXiv:1903.12436. Section
       4 describes the mixture of codes. The noise and the map of the columns are
       additions of skae.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skae import AutoencoderSampler, AutoencoderTransformer
    >>> X = load_wine().data
    >>> autoencoder = make_pipeline(StandardScaler(), AutoencoderTransformer(4))
    >>> sampler = AutoencoderSampler(autoencoder, random_state=0).fit(X)
    >>> rows = sampler.sample(1_000, random_state=0)
    >>> rows.shape
    (1000, 13)
    >>> print(abs(rows.mean(axis=0) - X.mean(axis=0)).max() < 0.1 * X.std())
    True

    Sample rows of one class with an autoencoder that is fitted already:

    >>> from sklearn.frozen import FrozenEstimator
    >>> of_class = X[load_wine().target == 2]
    >>> frozen = FrozenEstimator(autoencoder.fit(X))
    >>> AutoencoderSampler(frozen).fit(of_class).sample(3).shape
    (3, 13)

    A table with categories and missing values:

    >>> from skae import TableAutoencoder
    >>> table = load_wine(as_frame=True).frame[["alcohol", "proline", "target"]]
    >>> names = {0: "Barolo", 1: "Grignolino", 2: "Barbera"}
    >>> table["target"] = table["target"].map(names)
    >>> table.loc[::5, "proline"] = None
    >>> autoencoder = TableAutoencoder(2, max_epochs=20)
    >>> sampler = AutoencoderSampler(autoencoder, random_state=0).fit(table)
    >>> new = sampler.sample(1_000, random_state=0)
    >>> sorted(new["target"].unique())
    ['Barbera', 'Barolo', 'Grignolino']
    >>> print(new["proline"].isna().mean().round(1))
    0.2
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "autoencoder": [HasMethods(["fit", "transform", "inverse_transform"]), None],
        "random_state": ["random_state"],
    }

    def __init__(self, autoencoder: Any = None, *, random_state: Any = None) -> None:
        self.autoencoder = autoencoder
        self.random_state = random_state

    # The parameters of the autoencoder are nested, and must be checked, too.
    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Fit the mixture, and the autoencoder unless it is frozen.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows that the new rows should resemble, in any form that the autoencoder
            accepts. Values may be missing only for a :class:`TableAutoencoder`; else
            fill them in first, for instance with :class:`AutoencoderImputer`. Series
            must have equal length.

        y : None
            Ignored.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        tasks = FitTasks(self, X, y)
        with unchanged_on_error(self):
            self._frame = frame_type(X)
            check_is_table(X, "X")
            kind = rows_of(self.autoencoder)
            X = kind.read(X)
            rng = private_generator(self.random_state)
            rows = some(X, rng)
            checked = kind.checked(rows, self)
            validate_data(self, X, skip_check_array=True)
            self._shape, self._dtype = kind.describe(checked)
            self.n_features_in_ = math.prod(self._shape)  # number of pixels for images
            self.autoencoder_ = self._made_autoencoder(rng)
            tasks.begin(1)
            with tasks.part_fitting(self.autoencoder_, "autoencoder"):
                self.autoencoder_.fit(X, None)
            matrix, codes = self._rows.matrix(checked), self._rows.codes(rows)
            self._fit_noise(matrix, codes)
            responsibilities = self._fit_mixture(codes, rng)
            self._fit_gaps(matrix, responsibilities)
            self._fit_map(matrix, rng)
            tasks.end()
        return self

    @property
    def _rows(self) -> NumberRows:
        """The form of the rows, with their conversion to a matrix and back."""
        kind = rows_of(self.autoencoder_)
        return kind(self.autoencoder_, self._frame, self._shape, self._dtype)

    def _made_autoencoder(self, rng: np.random.RandomState) -> Any:
        if self.autoencoder is None:
            return AutoencoderTransformer(random_state=rng.randint(2**31 - 1))
        output = getattr(steps_of(self.autoencoder)[-1], "output", "code")
        if output != "code":
            raise ValueError(
                "AutoencoderSampler fits a mixture to codes, but the autoencoder has "
                f"output={output!r}. Set output='code'."
            )
        return seeded_clone(self.autoencoder, rng)

    def _fit_noise(self, matrix: np.ndarray, codes: np.ndarray) -> None:
        numbers = self._rows.numbers
        error = np.square(matrix - self._rows.decode(codes))[:, numbers]
        there = ~np.isnan(error)
        total = error.sum(axis=0, dtype=float, where=there)
        self.residual_std_ = np.sqrt(total / np.maximum(there.sum(axis=0), 1))

    def _fit_mixture(self, codes: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        """Fit a mixture; return the probability of its components for each row."""
        mixture = fit_mixture(codes, self._rows.reg_covar, rng)
        self.weights_, self.means_, self.covariances_, responsibilities = mixture
        return responsibilities

    def _fit_gaps(self, matrix: np.ndarray, responsibilities: np.ndarray) -> None:
        """Estimate which values are missing together, in each component."""
        missing = np.isnan(matrix)
        if not missing.any():
            missing = missing[:1]
            responsibilities = np.ones((1, responsibilities.shape[1]))
        self._gaps, of_row = np.unique(missing, axis=0, return_inverse=True)
        weight = np.zeros((len(self._gaps), responsibilities.shape[1]))
        # Weights must not be zero for a component without rows.
        np.add.at(weight, of_row.ravel(), responsibilities + _TINY)
        self._gap_weights = (weight / weight.sum(axis=0)).T

    def _fit_map(self, matrix: np.ndarray, rng: np.random.RandomState) -> None:
        """Estimate the map of generated columns to the distributions of rows."""
        numbers = self._rows.numbers
        codes, component = self._draw_codes(MAX_ROWS, rng)
        generated = self._noisy(codes, rng)
        # Values that will be missing must not count: they may be the large ones.
        generated[self._draw_gaps(component, rng)] = np.nan
        found = [np.quantile(_there(each), _LEVELS) for each in generated[:, numbers].T]
        columns = [_Distribution.of(column) for column in matrix[:, numbers].T]
        self._generated = np.array(found).reshape(-1, N_LEVELS)
        given = [each.quantiles for each in columns]
        self._given = np.array(given).reshape(-1, N_LEVELS)
        self._discrete = np.array([each.discrete for each in columns], dtype=bool)
        self._factors = np.ones(self._rows.n_columns)
        for block in self._rows.categories:
            self._factors[block] = _factors(generated[:, block], matrix[:, block])

    def _mapped(self, matrix: np.ndarray) -> np.ndarray:
        """Map columns to the distributions of the training rows."""
        positions = np.arange(len(_LEVELS))
        numbers = np.arange(self._rows.n_columns)[self._rows.numbers]
        columns = zip(
            numbers, self._generated, self._given, self._discrete, strict=True
        )
        for i, generated, given, discrete in columns:
            position = np.interp(matrix[:, i], generated, positions)
            if discrete:
                matrix[:, i] = given[np.rint(position).astype(int)]
            else:
                matrix[:, i] = np.interp(position, positions, given)
        for block in self._rows.categories:
            matrix[:, block] *= self._factors[block]
        return matrix

    def _draw_codes(
        self, n_samples: int, rng: np.random.RandomState
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw codes; also return the component of each."""
        component = rng.choice(len(self.weights_), n_samples, p=self.weights_)
        codes = rng.normal(size=(n_samples, self.means_.shape[1]))
        for i, (mean, covariance) in enumerate(
            zip(self.means_, self.covariances_, strict=True)
        ):
            drawn = component == i
            codes[drawn] = mean + codes[drawn] @ np.linalg.cholesky(covariance).T
        return codes, component

    def _draw_gaps(
        self, component: np.ndarray, rng: np.random.RandomState
    ) -> np.ndarray:
        """Draw the missing values of rows of some components."""
        pattern = np.zeros(len(component), dtype=int)
        if self._gaps.any():
            for i, weights in enumerate(self._gap_weights):
                drawn = component == i
                pattern[drawn] = rng.choice(len(weights), drawn.sum(), p=weights)
        return self._gaps[pattern]

    def _noisy(self, codes: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        matrix = self._rows.decode(codes).astype(np.float64)
        noise = rng.normal(size=(len(codes), len(self.residual_std_)))
        matrix[:, self._rows.numbers] += self.residual_std_ * noise
        return matrix

    def sample(self, n_samples: int = 1, random_state: Any = None) -> Any:
        """Draw new rows.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows to draw.

        random_state : int, RandomState instance or None, default=None
            Determines the draws. None takes a new seed from the operating system.

        Returns
        -------
        X : ndarray or DataFrame of shape (n_samples, n_features)
            New rows in the units of the training rows. If `fit` received a pandas
            or polars DataFrame, one of the same library is returned, with the same
            column names. Columns of integers, floats or booleans keep their type. Other
            columns, such as categories of numbers, become floats. A `TableAutoencoder`
            keeps the types of all columns, as its `inverse_transform` does.
        """
        check_is_fitted(self)
        checks.check_count(n_samples, "n_samples")
        rng = private_generator(random_state)
        codes, component = self._draw_codes(n_samples, rng)
        matrix = self._mapped(self._noisy(codes, rng))
        matrix[self._draw_gaps(component, rng)] = np.nan
        return self._rows.restore(matrix, rng)

    def sample_codes(self, n_samples: int = 1, random_state: Any = None) -> np.ndarray:
        """Draw codes from the mixture.

        Parameters
        ----------
        n_samples : int, default=1
            Number of codes to draw.

        random_state : int, RandomState instance or None, default=None
            Determines the draws. None takes a new seed from the operating system.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
            Codes that ``autoencoder_.inverse_transform`` decodes.
        """
        check_is_fitted(self)
        checks.check_count(n_samples, "n_samples")
        return self._draw_codes(n_samples, private_generator(random_state))[0]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        autoencoder = self.autoencoder
        if autoencoder is None:
            autoencoder = AutoencoderTransformer()
        tags.input_tags = get_tags(autoencoder).input_tags
        tags.input_tags.allow_nan &= rows_of(autoencoder).allow_nan
        return tags


class _Distribution(NamedTuple):
    """Quantiles of a column of numbers, and whether values lie only on quantiles."""

    quantiles: np.ndarray
    discrete: bool

    @classmethod
    def of(cls, column: np.ndarray) -> "_Distribution":
        """Estimate the distribution of the values that are not missing."""
        values = np.sort(_there(column))
        quantiles = np.quantile(values, _LEVELS, method="inverted_cdf")
        n_different = 1 + (np.diff(values) > 0).sum()
        whole = (values == np.rint(values)).all()
        return cls(quantiles, bool(whole or n_different <= len(values) / 2))


def _there(column: np.ndarray) -> np.ndarray:
    """Return the values that are not missing; a zero if there are none."""
    values = column[~np.isnan(column)]
    return values if len(values) else np.zeros(1)


def _factors(generated: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Compute factors of the probabilities of levels from the shares in given rows.

    Probabilities must be divided by their sum again. This is iterative proportional
    fitting.
    """
    factors = np.ones(given.shape[1])
    given = given[~np.isnan(given).any(axis=1)]
    generated = generated[~np.isnan(generated).any(axis=1)]
    if not len(given) or not len(generated):
        return factors
    generated = np.maximum(generated, _MIN_PROBABILITY)
    for _ in range(_N_FACTOR_STEPS):
        found = generated * factors
        found /= found.sum(axis=1, keepdims=True)
        factors *= given.mean(axis=0) / np.maximum(found.mean(axis=0), _TINY)
    return factors
