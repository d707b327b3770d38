"""Diagnosis of fitted autoencoders: common problems, and what to try."""

import html
import math
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn import config_context
from sklearn.decomposition import PCA
from sklearn.model_selection import KFold
from sklearn.neighbors import NearestNeighbors
from sklearn.utils.validation import check_is_fitted

from skae import _checks as checks
from skae._base import BaseAutoencoder
from skae._fitted import OUTPUTS, dense_rows
from skae._inference import in_evaluation
from skae._inputs import plain
from skae._pairs import is_fitted_to_pairs, makes_noise
from skae._sklearn_compat import safe_indexing
from skae.losses import as_loss
from skae.training import Rows, fill_missing, float_tensor, n_rows_in, own_modes

# Means over this many rows have an error of about 1 %; more rows only take longer.
_MAX_ROWS = 10_000
# Some rules keep several copies of the rows, so fewer rows of wide tables are used.
_BYTES = 2**25
# Neighbours take time quadratic in the rows, and each component needs its own pass.
_MAX_ROWS_OF_SLOW_RULES = 1_000
# The figures below are too noisy with fewer rows.
_MIN_ROWS = 20

# A smaller gain on PCA is within chance, and PCA is simpler.
_GAIN_ON_PCA = 0.01
# Good fits to a few thousand rows have ratios up to this one.
_HELD_OUT_TO_TRAINING_ERROR = 2.0
# A few dead units do not harm a network of a hundred units.
_SHARE_OF_DEAD_UNITS = 0.1
# Spread of a unit over the rows, in units of the size of its layer's activations.
_SPREAD_OF_DEAD_UNIT = 1e-3
# A unit this near its bounds, as a share of its range, has almost no gradient.
_NEAR_BOUND = 0.01
# A unit is saturated if it is near a bound for this share of the rows.
_SHARE_OF_ROWS_AT_BOUND = 0.95
# Without a component that carries information, the error rises by this share or more.
_RISE_WITHOUT_COMPONENT = 1e-3
# Components of a variational autoencoder below this number of nats are inactive.
_ACTIVE_NATS = 0.01
# A reconstruction with less than this share of the variance as error looks perfect.
_TINY_ERROR = 0.01
# Codes this wide, as a share of the columns, hardly compress.
_WIDE_CODE = 0.5
_N_NEIGHBOURS = 10
# If codes share this many neighbours with the rows, they are a copy of the rows.
_SAME_NEIGHBOURS = 0.8
# If codes share fewer neighbours, they do not represent where a row lies.
_OTHER_NEIGHBOURS = 0.3
# The error of a badly reconstructed column is this share of its variance, and larger
# than that of the median column by this factor.
_BAD_COLUMN = 0.5
_WORSE_THAN_MEDIAN = 4.0
# Columns with a smaller share of the mean variance hardly count in the loss.
_VARIANCE_THAT_COUNTS = 1 / 3
# If this share of the columns has this share of the variance, the loss hardly depends
# on the others.
_SHARE_OF_VARIANCE = 0.9
_SHARE_OF_COLUMNS = 0.1
# A schedule ends at a learning rate of zero. Training was too short if the loss still
# falls by this share of its whole fall in the last tenth of the epochs.
_LAST_EPOCHS = 0.1
_LAST_FALL = 0.05

_BOUNDS = {"tanh": (-1.0, 1.0), "logistic": (0.0, 1.0)}


@dataclass(frozen=True)
class Finding:
    """A problem that a rule found.

    Parameters
    ----------
    text : str
        Description of the problem, in a sentence or two.

    remedy : str
        What to try.

    figures : dict
        The numbers behind the text, by name.
    """

    text: str
    remedy: str
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Diagnosis:
    """Result of `diagnose`. It prints as a report, and as HTML in notebooks.

    Parameters
    ----------
    title : str
        The estimator, and how well it reconstructs.

    findings : dict of str to Finding
        Problems found, by the name of the rule, in the order of the rules.

    not_checked : dict of str to str
        Reasons why rules were not checked, by the name of the rule.

    n_rules : int
        Number of rules.
    """

    title: str
    findings: dict[str, Finding]
    not_checked: dict[str, str]
    n_rules: int

    def _summary(self) -> str:
        n_checked = self.n_rules - len(self.not_checked)
        found = {0: "Nothing was found", 1: "1 finding"}.get(
            len(self.findings), f"{len(self.findings)} findings"
        )
        return f"{found} by {n_checked} of {self.n_rules} rules."

    def __str__(self) -> str:
        def block(text: str) -> str:
            return textwrap.fill(text, 80, initial_indent="  ", subsequent_indent="  ")

        parts = [f"{self.title}\n{self._summary()}"]
        parts += [
            f"{name}\n{block(each.text)}\n{block('Try: ' + each.remedy)}"
            for name, each in self.findings.items()
        ]
        if self.not_checked:
            lines = [
                block(f"{name}: {reason}") for name, reason in self.not_checked.items()
            ]
            parts.append("\n".join(["Not checked", *lines]))
        return "\n\n".join(parts)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        def cells(*texts: str) -> str:
            return "".join(
                f"<td style='text-align: left; vertical-align: top'>{html.escape(text)}"
                "</td>"
                for text in texts
            )

        found = "".join(
            f"<tr>{cells(name, each.text, each.remedy)}</tr>"
            for name, each in self.findings.items()
        )
        if found:
            found = (
                "<table><thead><tr><th>rule</th><th>found</th><th>to try</th></tr>"
                f"</thead><tbody>{found}</tbody></table>"
            )
        skipped = "".join(
            f"<li>{html.escape(f'{name}: {reason}')}</li>"
            for name, reason in self.not_checked.items()
        )
        if skipped:
            skipped = f"<p>Not checked</p><ul>{skipped}</ul>"
        return (
            f"<div><p><b>{html.escape(self.title)}</b><br>"
            f"{html.escape(self._summary())}</p>{found}{skipped}</div>"
        )


def diagnose(
    estimator: BaseAutoencoder, X: ArrayLike, X_train: ArrayLike | None = None
) -> Diagnosis:
    """Find common problems of a fitted autoencoder, with suggestions what to try.

    Parameters
    ----------
    estimator : estimator
        Fitted autoencoder. It is not changed.

    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        At least 20 rows, preferably rows that `fit` has not seen, in any form that the
        estimator accepts. For a denoiser, pass clean rows: they are encoded with its
        own noise. A denoiser that was fitted to pairs of noisy and clean rows has no
        noise of its own and is not supported.

    X_train : {array-like, sparse matrix} of shape (n_train, n_features), default=None
        The rows that `fit` was called with. They are used to find overfitting, and to
        fit the PCA that the autoencoder is compared with. If None, overfitting is not
        checked, and the errors of PCA are cross-validated on `X`.

    Returns
    -------
    diagnosis : Diagnosis
        A report to print. `findings` has the problems found, by the names below, and
        `not_checked` the reasons why rules were not checked.

    Notes
    -----
    All errors are squared errors, whatever the loss. For a `TableAutoencoder`, "error"
    is the mean loss of a cell, and "variance" is 1, the loss of reconstructions by the
    mean row. The rules are:

    no_better_than_pca
        `fit` kept the start, such as PCA, and not a trained network; the finding has
        the reason. Or the error is less than 1 % below that of PCA with as many
        components, which is not checked for a `TableAutoencoder`.

    overfitting
        The error on `X` is more than twice that on `X_train`.

    dead_units
        A tenth or more of the hidden units are dead or saturated. A dead unit has the
        same activation for all rows. A saturated unit of "tanh" or "logistic" is at its
        bounds for 95 % of the rows.

    collapsed_components
        The error rises by less than 0.1 % if a component is replaced by its mean. In a
        variational autoencoder, a component carries less than 0.01 nats. The rule does
        not check codes that are as wide as the rows.

    copying
        The error is below 1 % of the variance for one of two reasons. Either the code
        is at least half as wide as the rows and preserves their neighbours, so that the
        rows were copied. Or it is narrower and does not preserve neighbours, so that a
        network that is too powerful memorised the rows.

    badly_reconstructed_columns
        The error of a column is more than half of its variance, and as a share of it
        more than four times that of the median column. Columns with less than a third
        of the mean variance are not checked.

    dominating_columns
        A tenth of the columns, or a single one, have nine tenths of the variance, and
        therefore dominate the loss.

    under_training
        The loss fell by a twentieth of its whole fall in the last tenth of the epochs.

    A sample is used if there are more than 10,000 rows, or if the rows take more than
    32 MiB in float32. Slow rules use 1,000 rows of it. The sample is the same in each
    call.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.model_selection import train_test_split
    >>> import skae
    >>> X_train, X_test = train_test_split(load_wine().data, random_state=0)
    >>> model = skae.AutoencoderTransformer(3, max_epochs=5, random_state=0)
    >>> diagnosis = skae.diagnose(model.fit(X_train), X_test, X_train)
    >>> print(diagnosis.findings["dominating_columns"].remedy)
    StandardScaler, or another scaling, before the autoencoder.
    """
    if not isinstance(estimator, BaseAutoencoder):
        raise TypeError(
            "diagnose needs a fitted autoencoder of skae. Got "
            f"{type(estimator).__name__}. For a pipeline, pass the step, and the rows "
            "as the steps before it return them: diagnose(pipe[-1], "
            "pipe[:-1].transform(X)). For a classifier or regressor that starts from "
            "an autoencoder, pass its pretrainer_; for a sampler, its autoencoder_."
        )
    check_is_fitted(estimator)
    if is_fitted_to_pairs(estimator):
        raise ValueError(
            "diagnose compares reconstructions with X itself, but this "
            "DenoisingAutoencoder was fitted to pairs of noisy and clean rows. Use "
            "score(X_noisy, X_clean) and plotting.LossCurveDisplay instead."
        )
    with own_modes():
        kind = _Evidence if estimator._module_takes_rows else _TableEvidence
        evidence = kind(estimator, X, X_train)
        outcomes = {rule.__name__.lstrip("_"): rule(evidence) for rule in _RULES}
        title = evidence.title()
    return Diagnosis(
        title,
        {name: each for name, each in outcomes.items() if isinstance(each, Finding)},
        {name: each for name, each in outcomes.items() if isinstance(each, str)},
        len(_RULES),
    )


class _Evidence:
    """Data, errors and codes that the rules use."""

    error_name = "mean squared error"
    of_the_whole = "of the variance"
    or_more_weight = ", or a larger scale for columns that matter"

    def __init__(self, estimator: Any, X: Any, X_train: Any) -> None:
        self.estimator = estimator
        self.rows = _sample(estimator, X)
        if len(self.rows) < _MIN_ROWS:
            raise ValueError(
                f"X has {len(self.rows)} rows; diagnose needs {_MIN_ROWS} or more, so "
                "that its findings are not due to chance."
            )
        # Rows are NaN after the end of a series. They are filled with the mean of the
        # column, which adds no variance.
        self.X = fill_missing(self.rows)
        self.X_train = None if X_train is None else _sample(estimator, X_train)
        self.names = getattr(estimator, "feature_names_in_", None)

    def title(self) -> str:
        share = self.error / self.total if self.total > 0 else np.nan
        noisy = " from noisy rows" if makes_noise(self.estimator) else ""
        return (
            f"{type(self.estimator).__name__}, code of "
            f"{self.estimator.n_components_}: {self.error_name} {self.error:.3g} "
            f"({100 * share:.3g}% {self.of_the_whole}) on {len(self.X)} rows{noisy}"
        )

    def encoder_input(self, X: np.ndarray) -> np.ndarray:
        """Return the rows as input of the encoder: with noise for a denoiser."""
        if not makes_noise(self.estimator):
            return X
        net = self.estimator.net_
        rows = float_tensor(X, net.device, copy=True)
        generator = torch.Generator(net.device).manual_seed(0)
        try:
            with net.with_rows(Rows(rows)):
                noisy = net.corrupt(rows, generator)
        finally:
            net._set_training(False)
        return noisy.cpu().numpy().astype(X.dtype)

    def errors(
        self, rows: np.ndarray, inputs: np.ndarray, *, codes: bool = False
    ) -> np.ndarray:
        """Return errors of the columns of reconstructions, NaN where there is no value.

        They are decoded from `inputs`, which are rows as the encoder gets them, or
        `codes`.
        """
        part = _decode if codes else OUTPUTS["reconstruction"]
        X_hat = self.estimator._apply(part, inputs)
        return np.square(np.subtract(rows, X_hat, dtype=np.float64))

    @cached_property
    def X_in(self) -> np.ndarray:
        return self.encoder_input(self.rows)

    @cached_property
    def cells(self) -> np.ndarray:
        return self.errors(self.rows, self.X_in)

    @property
    def n_values(self) -> int:
        return int(np.count_nonzero(~np.isnan(self.cells)))

    @property
    def column_error(self) -> np.ndarray:
        """Errors of the columns; those after the end of a series are 0."""
        return np.nan_to_num(self.cells).mean(axis=0)

    @cached_property
    def variance(self) -> np.ndarray:
        """Errors of the columns for reconstructions by the mean row."""
        return self.X.var(axis=0)

    @property
    def error(self) -> float:
        return float(self.column_error.sum()) * len(self.rows) / self.n_values

    @property
    def total(self) -> float:
        """Variance of the rows, in the units of `error`."""
        return float(self.variance.sum()) * len(self.rows) / self.n_values

    @cached_property
    def train_error(self) -> float:
        """Error of the rows of `X_train`."""
        assert self.X_train is not None
        errors = self.errors(self.X_train, self.encoder_input(self.X_train))
        return float(np.nanmean(errors))

    # The rows are in random order, so that the first ones are a random sample.
    few = slice(_MAX_ROWS_OF_SLOW_RULES)

    @cached_property
    def codes(self) -> np.ndarray:
        """Codes of the rows that slow rules use."""
        return self.estimator._apply(OUTPUTS["code"], self.X_in[self.few])

    @cached_property
    def pca_error(self) -> float:
        """Error of PCA with as many components, on rows that it was not fitted to."""
        if self.X_train is not None:
            splits = [(fill_missing(self.X_train), slice(None))]
        else:
            folds = KFold(5, shuffle=True, random_state=0).split(self.X)
            splits = [(self.X[rest], part) for rest, part in folds]
        total = 0.0
        inputs = fill_missing(self.X_in)
        for rows, part in splits:
            size = min(self.estimator.n_components_, *rows.shape)
            with config_context(array_api_dispatch=False):
                pca = PCA(size, random_state=0).fit(rows)
            X_hat = pca.inverse_transform(pca.transform(inputs[part]))
            error = np.subtract(self.rows[part], X_hat, dtype=np.float64)
            total += float(np.nansum(np.square(error)))
        return total / self.n_values

    def name(self, column: int) -> str:
        return str(column if self.names is None else self.names[column])


class _TableEvidence(_Evidence):
    """Data for the rules from tables of mixed columns; errors are losses of cells.

    The loss of a column is 1 for reconstructions by the mean row.
    """

    error_name = "mean loss of a cell"
    of_the_whole = "of that of the mean row"
    or_more_weight = ""

    def errors(
        self, rows: np.ndarray, inputs: np.ndarray, *, codes: bool = False
    ) -> np.ndarray:
        criterion = self.estimator.net_.criterion_

        def decode(module: Any, z: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = module.decode_logits(z)
            return logits

        def reconstruct(module: Any, x: torch.Tensor) -> torch.Tensor:
            return decode(module, module.encode(x))

        logits = self.estimator._apply(decode if codes else reconstruct, inputs)
        device = self.estimator.net_.device
        x = float_tensor(rows, device, copy=True)
        with torch.no_grad():
            entries = criterion.entries(float_tensor(logits, device, copy=True), x)
        return self.estimator._by_column(entries.cpu().numpy()).astype(np.float64)

    @cached_property
    def variance(self) -> np.ndarray:
        return (~np.isnan(self.cells)).mean(axis=0)


def _sample(estimator: Any, X: Any) -> np.ndarray:
    """Check rows and return them in random order, or a sample if there are many."""
    X = plain(X, fill_masked=True)
    n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
    n_columns = estimator.n_features_in_
    size = min(n_rows, _MAX_ROWS, max(_MIN_ROWS, n_rows_in(_BYTES, n_columns)))
    index = np.random.RandomState(0).permutation(n_rows)[:size]
    if hasattr(X, "tocsr"):
        X = X.tocsr()
    rows = dense_rows(estimator, safe_indexing(X, index))
    return rows


def _decode(module: Any, z: torch.Tensor) -> torch.Tensor:
    return module.decode(z)


# Each rule returns what it found, None, or the reason why it was not checked.

Outcome = Finding | str | None


_REMEDY_OF_KEPT_START = (
    "more rows, or a larger max_epochs or hidden_layer_sizes. Such rows may well be "
    "linear, and then PCA is the simpler tool."
)


def _no_better_than_pca(evidence: _Evidence) -> Outcome:
    estimator = evidence.estimator
    starts_at_model = getattr(estimator, "_start_name", None) is not None
    kept = estimator._kept_start_in_words()
    not_compared = None
    if isinstance(evidence, _TableEvidence):
        not_compared = "PCA has no loss of categories."
    elif evidence.pca_error <= 1e-6 * evidence.total:
        not_compared = "PCA with as many components leaves no error to improve on."
    if not_compared is not None:
        return not_compared if kept is None else Finding(kept, _REMEDY_OF_KEPT_START)
    error, pca_error = evidence.error, evidence.pca_error
    if kept is None and error < (1 - _GAIN_ON_PCA) * pca_error:
        return None
    if kept is not None:
        remedy = _REMEDY_OF_KEPT_START
    elif starts_at_model:
        remedy = (
            "rows like those of fit, where the error on held-out rows fell below that "
            "of the start. If the rows of X are of another kind, fit on both."
        )
    else:
        remedy = (
            "init='auto', if the estimator has it: it starts at PCA and keeps the "
            "better of the two. Else try a larger max_epochs, wider hidden layers or "
            "another lr."
        )
    return Finding(
        ("" if kept is None else f"{kept} ")
        + f"The mean squared error is {error:.3g}, {error / pca_error:.2f} times that "
        f"of PCA with as many components, {pca_error:.3g}.",
        remedy,
        {"error": error, "pca_error": pca_error},
    )


def _overfitting(evidence: _Evidence) -> Outcome:
    if evidence.X_train is None:
        return "needs X_train."
    error, train_error = evidence.error, evidence.train_error
    if error <= max(_HELD_OUT_TO_TRAINING_ERROR * train_error, 1e-6 * evidence.total):
        return None
    ratio = error / train_error if train_error > 0 else np.inf
    return Finding(
        f"The {evidence.error_name} is {error:.3g} on X and {train_error:.3g} on "
        f"X_train: {ratio:.2f} times as much. Part of what the network learned holds "
        "for the training rows only.",
        "more rows, noise (DenoisingAutoencoder), fewer components, narrower or fewer "
        "hidden layers, weight_decay, early_stopping=True.",
        {"error": error, "train_error": train_error},
    )


def _dead_units(evidence: _Evidence) -> Outcome:
    estimator = evidence.estimator
    if not hasattr(estimator.module_, "hidden"):
        return "the module has no method hidden."
    X = evidence.X_in[evidence.few]
    with torch.inference_mode():
        x = float_tensor(X[:2], estimator.net_.device, copy=True)
        sizes = checks.hidden_widths(in_evaluation(estimator.module_), x)
    if not sizes:
        return "there are no hidden layers."
    activations = estimator._apply(OUTPUTS["hidden"], X)
    layers = np.split(activations, np.cumsum(sizes)[:-1], axis=1)
    bounds = _BOUNDS.get(getattr(estimator, "activation", ""))
    dead, saturated = [], []
    for layer in layers:
        size = np.sqrt(np.mean(layer**2))
        dead.append(layer.std(axis=0) <= _SPREAD_OF_DEAD_UNIT * size)
        stuck = np.zeros(layer.shape[1], dtype=bool)
        if bounds is not None:
            low, high = bounds
            near = _NEAR_BOUND * (high - low)
            at_bound = (layer < low + near) | (layer > high - near)
            stuck = at_bound.mean(axis=0) >= _SHARE_OF_ROWS_AT_BOUND
        saturated.append(stuck & ~dead[-1])
    n_dead = int(np.concatenate(dead).sum())
    n_saturated = int(np.concatenate(saturated).sum())
    if n_dead + n_saturated < _SHARE_OF_DEAD_UNITS * sum(sizes):
        return None
    by_layer = ", ".join(
        f"{int((a | b).sum())} of {len(a)}"
        for a, b in zip(dead, saturated, strict=True)
    )
    return Finding(
        f"{n_dead} of {sum(sizes)} hidden units of the encoder have the same "
        f"activation for all rows, and {n_saturated} are at the bounds of their "
        f"activation. By layer: {by_layer}.",
        "activation='gelu' or 'elu', a smaller lr, or narrower layers.",
        {"n_dead": n_dead, "n_saturated": n_saturated, "n_units": sum(sizes)},
    )


def _collapsed_components(evidence: _Evidence) -> Outcome:
    estimator = evidence.estimator
    size = estimator.n_components_
    if size >= evidence.X.shape[1]:
        return "the code is as wide as the rows, so it need not use all components."
    if hasattr(estimator, "kl_per_component_"):
        gains = estimator.kl_per_component_
        collapsed = np.flatnonzero(gains < _ACTIVE_NATS)
        how = f"carry less than {_ACTIVE_NATS} nats of a row"
    else:
        X, codes = evidence.rows[evidence.few], evidence.codes
        error = float(np.nanmean(evidence.errors(X, codes, codes=True)))
        gains = np.empty(size)
        for i in range(size):
            without = codes.copy()
            without[:, i] = codes[:, i].mean()
            errors = evidence.errors(X, without, codes=True)
            gains[i] = np.nanmean(errors) - error
        floor = max(_RISE_WITHOUT_COMPONENT * error, 1e-12 * evidence.total)
        collapsed = np.flatnonzero(gains < floor)
        how = f"lower the error by less than {_RISE_WITHOUT_COMPONENT:.1%} each"
    if len(collapsed) == 0:
        return None
    remedy = f"n_components={max(1, size - len(collapsed))}, or longer training."
    if hasattr(estimator, "beta"):
        remedy = f"a smaller beta than {estimator.beta:g}; else {remedy}"
    return Finding(
        f"{len(collapsed)} of {size} components of the code {how}: "
        f"{_listed([str(i) for i in collapsed])}.",
        remedy,
        {"components": collapsed, "told": gains},
    )


def _copying(evidence: _Evidence) -> Outcome:
    if makes_noise(evidence.estimator):
        return "the input of a denoiser differs from the rows that it reconstructs."
    if evidence.total == 0 or evidence.error >= _TINY_ERROR * evidence.total:
        return None
    X, codes = evidence.X[evidence.few], evidence.codes
    shared = _shared_neighbours(X, codes)
    n_components, n_features = codes.shape[1], X.shape[1]
    figures = {"error_share": evidence.error / evidence.total, "shared": shared}
    finding = (
        f"The error is {100 * figures['error_share']:.2g}% "
        f"{evidence.of_the_whole}, and a code has {shared:.0%} of the "
        f"{_N_NEIGHBOURS} nearest neighbours of its row"
    )
    if n_components >= _WIDE_CODE * n_features and shared >= _SAME_NEIGHBOURS:
        return Finding(
            f"{finding}: the {n_components} components hold the same information as "
            f"the {n_features} columns. The rows were copied, and nothing was learned.",
            "fewer components, or noise (DenoisingAutoencoder), so that a wide code "
            "has something to learn.",
            figures,
        )
    if n_components < _WIDE_CODE * n_features and shared <= _OTHER_NEIGHBOURS:
        return Finding(
            f"{finding}. The network is so powerful that it assigns arbitrary codes to "
            "rows and memorises their reconstructions.",
            "narrower or fewer hidden layers, more components, or noise "
            "(DenoisingAutoencoder).",
            figures,
        )
    return None


def _badly_reconstructed_columns(evidence: _Evidence) -> Outcome:
    varies = np.flatnonzero(evidence.variance > _VARIANCE_THAT_COUNTS * evidence.total)
    if len(varies) < 2:
        return "fewer than two columns count in the loss."
    share = evidence.column_error[varies] / evidence.variance[varies]
    median = float(np.median(share))
    order = np.argsort(-share, kind="stable")
    bad = [i for i in order if share[i] > max(_BAD_COLUMN, _WORSE_THAN_MEDIAN * median)]
    if not bad:
        return None
    names = [f"{evidence.name(varies[i])} ({share[i]:.0%})" for i in bad]
    return Finding(
        f"The error of {len(bad)} of {len(varies)} columns is more than half of their "
        f"variance, while it is {median:.0%} for the median column: {_listed(names)}.",
        f"more components{evidence.or_more_weight}. Columns of independent noise "
        "cannot be compressed: leave them out.",
        {"columns": varies[bad], "error_share": share[bad], "median": median},
    )


def _dominating_columns(evidence: _Evidence) -> Outcome:
    estimator = evidence.estimator
    if isinstance(evidence, _TableEvidence):
        return "the loss weighs all columns alike."
    if math.isfinite(as_loss(estimator.loss).high):
        return "the cross-entropy weighs all columns in [0, 1] alike."
    if getattr(estimator, "variance", None) == "column":
        return "variance='column' already weighs the columns."
    n_columns = len(evidence.variance)
    if n_columns < 2 or evidence.total == 0:
        return "fewer than two columns vary."
    order = np.argsort(-evidence.variance, kind="stable")
    shares = evidence.variance[order] / evidence.variance.sum()
    n_few = max(1, int(_SHARE_OF_COLUMNS * n_columns))
    few = float(shares[:n_few].sum())
    if few < _SHARE_OF_VARIANCE:
        return None
    n_named = int(np.searchsorted(shares.cumsum(), _SHARE_OF_VARIANCE)) + 1
    names = [
        f"{evidence.name(i)} ({share:.1%})"
        for i, share in zip(order[:n_named], shares, strict=False)
    ]
    return Finding(
        f"{n_named} of {n_columns} columns have {shares[:n_named].sum():.1%} of the "
        f"variance, and the loss hardly depends on the others: {_listed(names)}.",
        "StandardScaler, or another scaling, before the autoencoder.",
        {"columns": order[:n_named], "variance_share": shares[:n_named]},
    )


def _under_training(evidence: _Evidence) -> Outcome:
    estimator = evidence.estimator
    curve = estimator.validation_loss_curve_ or estimator.loss_curve_
    which = "validation" if estimator.validation_loss_curve_ else "training"
    if len(curve) < 3:
        return f"needs at least two epochs; there were {estimator.n_iter_}."
    n_last = max(1, round(_LAST_EPOCHS * (len(curve) - 1)))
    fall, last_fall = curve[0] - curve[-1], curve[-1 - n_last] - curve[-1]
    if fall <= 0 or last_fall < _LAST_FALL * fall:
        return None
    return Finding(
        f"The {which} loss was still falling: by {last_fall / fall:.0%} of its whole "
        f"fall in the last {n_last} of {estimator.n_iter_} epochs.",
        f"longer training: {_longer(estimator)}. It is enough when the validation "
        "loss begins to rise.",
        {"fall": fall, "last_fall": last_fall, "n_last": n_last},
    )


_RULES: list[Callable[[_Evidence], Outcome]] = [
    _no_better_than_pca,
    _overfitting,
    _dead_units,
    _collapsed_components,
    _copying,
    _badly_reconstructed_columns,
    _dominating_columns,
    _under_training,
]


def _longer(estimator: Any) -> str:
    return f"{estimator._epochs_parameter}={2 * estimator.n_iter_}"


def _listed(names: list[str], n_names: int = 5) -> str:
    more = len(names) - n_names
    return ", ".join(names[:n_names]) + (f" and {more} more" if more > 0 else "")


def _shared_neighbours(X: np.ndarray, Z: np.ndarray) -> float:
    """Compute the share of nearest neighbours that rows and codes have in common."""
    neighbours = [
        NearestNeighbors(n_neighbors=_N_NEIGHBOURS)
        .fit(each)
        .kneighbors(return_distance=False)
        for each in (X, Z)
    ]
    shared = [len(np.intersect1d(*pair)) for pair in zip(*neighbours, strict=True)]
    return float(np.mean(shared)) / _N_NEIGHBOURS
