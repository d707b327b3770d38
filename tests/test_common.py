"""What every public estimator has to do."""

import copy
import io
import pickle
import random
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from estimators import BECOMES_PCA, ESTIMATORS, OF_NUMBERS, quick
from hypothesis import given, settings
from hypothesis import strategies as st
from modules_for_tests import Own
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError, UndefinedMetricWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import (
    check_dict_unchanged,
    check_estimators_dtypes,
    check_estimators_pickle,
    check_fit_idempotent,
    check_param_validation,
    check_transformer_preserve_dtypes,
    parametrize_with_checks,
)
from skorch.callbacks import Callback
from threadpoolctl import threadpool_info, threadpool_limits

from skae import (
    AutoencoderTransformer,
    ConvAutoencoder,
    RecurrentAutoencoder,
    SparseAutoencoder,
    VariationalAutoencoder,
)
from skae.training import AutoencoderNet, PCAStart

pytestmark = [
    pytest.mark.filterwarnings(BECOMES_PCA),
    # scikit-learn's checks of it have 10 rows.
    pytest.mark.filterwarnings("ignore:.* the first call of partial_fit was given"),
]


def expected_failures(estimator):
    """Give the checks that mini-batches fail: with default settings, none."""
    params = estimator.get_params()
    stochastic = (
        params.get("init") == "random"
        or params["validation_fraction"] is None
        or params.get("module") is not None
    )
    if not stochastic:
        return {}
    reason = (
        "mini-batches, as scikit-learn has it for its own such estimators; "
        "test_sample_weight.py has the exact test at full batch"
    )
    return {
        f"check_sample_weight_equivalence_on_{kind}_data": reason
        for kind in ("dense", "sparse")
    }


@parametrize_with_checks(
    [
        *(estimator() for estimator in ESTIMATORS),
        AutoencoderTransformer(tied_weights=True),
        AutoencoderTransformer(hidden_layer_sizes=(20, 10)),
        AutoencoderTransformer(hidden_layer_sizes=()),
        AutoencoderTransformer(early_stopping=True),
        AutoencoderTransformer(validation_fraction=None, max_epochs=5),
        AutoencoderTransformer(init="random", max_epochs=5),
        AutoencoderTransformer(module=Own, max_epochs=5),
    ],
    expected_failed_checks=expected_failures,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


class OnUnitInterval(AutoencoderTransformer):
    """Takes the rows that checks draw from anywhere into [0, 1]."""

    def _check_X(self, X, **options):
        X = np.asarray(X, dtype=getattr(X, "dtype", float))
        return super()._check_X(1 / (1 + np.exp(-X.clip(-50, 50))), **options)


@pytest.mark.parametrize(
    "check",
    [
        check_estimators_dtypes,
        check_estimators_pickle,
        check_transformer_preserve_dtypes,
        check_dict_unchanged,
        check_fit_idempotent,
    ],
)
def test_scikit_learn_checks_with_cross_entropy(check):
    check(
        "AutoencoderTransformer",
        OnUnitInterval(loss="binary_cross_entropy", max_epochs=3),
    )


every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS)


@every_estimator
def test_parameters_are_all_checked(estimator):
    # Fails for a parameter that has no constraint.
    check_param_validation(estimator.__name__, estimator())


@every_estimator
def test_same_random_state_gives_the_same_bits(estimator, curved):
    first = quick(estimator).fit(curved)
    torch.rand(3)
    np.random.rand(3)
    assert_array_equal(first.transform(curved), quick(estimator).fit_transform(curved))
    assert_array_equal(first.transform(curved), first.fit(curved).transform(curved))
    other = quick(estimator, random_state=1, init="random").fit(curved)
    assert np.abs(other.transform(curved) - first.transform(curved)).max() > 1e-3


@every_estimator
def test_random_state_none_differs_and_instances_advance(estimator, curved):
    fits = [quick(estimator, init="random", random_state=None) for _ in range(2)]
    codes = [fit.fit_transform(curved) for fit in fits]
    assert np.abs(codes[0] - codes[1]).max() > 1e-3
    rng = np.random.RandomState(0)
    codes = [
        quick(estimator, init="random", random_state=rng).fit_transform(curved)
        for _ in range(2)
    ]
    assert np.abs(codes[0] - codes[1]).max() > 1e-3


@every_estimator
@pytest.mark.parametrize("module", [None, Own])
@pytest.mark.parametrize("random_state", [None, 0])
def test_callers_random_states_are_untouched(estimator, module, random_state, curved):
    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)

    def states():
        numpy_state = np.random.get_state()
        return (
            torch.get_rng_state().tolist(),
            [*numpy_state[1].tolist(), *numpy_state[2:]],
            random.getstate(),
        )

    before = states()
    model = quick(estimator, module=module, random_state=random_state).fit(curved)
    model.partial_fit(curved)
    pickle.loads(pickle.dumps(model)).transform(curved)
    assert states() == before


@every_estimator
@pytest.mark.parametrize("module", [None, Own])
def test_fits_in_threads_do_not_disturb_each_other(estimator, module, curved):
    def fit(seed):
        model = quick(
            estimator, module=module, init="auto", random_state=seed, max_epochs=20
        )
        return model.fit_transform(curved)

    threads = torch.get_num_threads()
    with ThreadPoolExecutor(1) as pool:
        alone = list(pool.map(fit, range(4)))
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(fit, range(4)))
    for a, b in zip(alone, together, strict=True):
        assert_array_equal(a, b)
    assert torch.get_num_threads() == threads


class NotesThreads(Own):
    """Notes for each batch whether it trains and how many threads torch uses."""

    seen: ClassVar[list[tuple[bool, int]]] = []

    def encode(self, x):
        if len(x) > 2:  # what `fit` tries the module with
            self.seen.append((self.training, torch.get_num_threads()))
        return super().encode(x)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    NotesThreads.seen.clear()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_small_net_is_fitted_on_one_thread(method, curved, two_threads):
    model = quick(AutoencoderTransformer, module=NotesThreads)
    getattr(model, method)(curved)
    trains, threads = zip(*NotesThreads.seen, strict=True)
    assert set(threads) == {1}
    if method == "fit":
        assert not trains[0]  # the loss of the start
    assert any(trains)
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("callers", [2, 4])
def test_a_large_step_has_the_callers_threads(callers, two_threads):
    torch.set_num_threads(callers)
    fit_with_large_table()
    assert {threads for _, threads in NotesThreads.seen} == {callers}
    assert torch.get_num_threads() == callers


def test_larger_steps_have_more_threads(two_threads):
    torch.set_num_threads(4)
    n_threads = []
    for batch_size in (15, 120, 180, 270):
        NotesThreads.seen.clear()
        fit_with_large_table(batch_size=batch_size)
        (threads,) = {threads for _, threads in NotesThreads.seen}
        n_threads.append(threads)
    assert n_threads[0] == 1
    assert n_threads[-1] == 4
    assert n_threads == sorted(n_threads)
    assert len(set(n_threads)) > 2


def test_fits_of_a_thread_pool_have_one_thread_each(two_threads):
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(fit_with_large_table, [900, 900]))
    assert {threads for _, threads in NotesThreads.seen} == {1}
    assert torch.get_num_threads() == 2


def blas_threads():
    return {
        library["num_threads"]
        for library in threadpool_info()
        if library["user_api"] == "blas"
    }


@pytest.mark.parametrize("where", ["main thread", "pool"])
def test_a_fit_has_one_thread_of_blas(where, curved, monkeypatch):
    during = []
    set_weights = PCAStart.set_weights

    def noting(*args, **kwargs):
        during.append(blas_threads())
        return set_weights(*args, **kwargs)

    def fit():
        with threadpool_limits(2, user_api="blas"):
            before = blas_threads()
            quick(AutoencoderTransformer).fit(curved)
            return before, blas_threads()

    monkeypatch.setattr(PCAStart, "set_weights", noting)
    if where == "pool":
        with ThreadPoolExecutor(1) as pool:
            before, after = pool.submit(fit).result()
    else:
        before, after = fit()
    assert during and all(each == {1} for each in during)
    assert after == before


class WithLargeTable(NotesThreads):
    """Has a parameter that no step uses: it counts, and costs no time."""

    def __init__(self, n_features, n_components):
        super().__init__(n_features, n_components)
        self.table = torch.nn.Parameter(torch.zeros(100_000))


def fit_with_large_table(batch_size=900):
    X = np.random.default_rng(0).standard_normal((1_000, 6))
    params = {"module": WithLargeTable, "batch_size": batch_size, "max_epochs": 1}
    quick(AutoencoderTransformer, **params).fit(X)


@pytest.mark.parametrize("when", ["in an epoch", "in the start"])
def test_the_callers_threads_are_back_after_an_error(
    when, curved, two_threads, monkeypatch
):
    def fail(*args, **kwargs):
        assert torch.get_num_threads() == 1
        raise ArithmeticError

    where, name = {
        "in an epoch": (AutoencoderNet, "run_single_epoch"),
        "in the start": (PCAStart, "set_weights"),
    }[when]
    monkeypatch.setattr(where, name, fail)
    model = quick(AutoencoderTransformer)
    for method in (model.fit, model.partial_fit):
        with pytest.raises(ArithmeticError):
            method(curved)
        assert torch.get_num_threads() == 2


def test_a_fit_within_a_fit_leaves_it_on_one_thread(curved, two_threads):
    class FitsAnother(Callback):
        def on_epoch_begin(self, net, **kwargs):
            quick(AutoencoderTransformer).fit(curved)

    quick(AutoencoderTransformer, module=NotesThreads, callbacks=[FitsAnother()]).fit(
        curved
    )
    assert {threads for _, threads in NotesThreads.seen} == {1}
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(
    "estimator, bound",
    [
        (ConvAutoencoder, "_INPUT_BYTES"),
        (ConvAutoencoder, "_ACTIVATION_BYTES"),
        (RecurrentAutoencoder, "_ACTIVATION_BYTES"),
        (SparseAutoencoder, "_INPUT_BYTES"),
        (VariationalAutoencoder, "_INPUT_BYTES"),
    ],
)
def test_wide_rows_pass_in_small_batches(estimator, bound, digits, monkeypatch):
    monkeypatch.setattr(f"skae.training._recipe.{bound}", 4 * 64 * 32)
    sizes = []

    def look(module, arguments):
        has_weights = any(True for _ in module.parameters(recurse=False))
        if has_weights and not torch.is_grad_enabled():
            sizes.append(arguments[0].shape[0])

    hook = torch.nn.modules.module.register_module_forward_pre_hook(look)
    try:
        quick(estimator, init="random").fit(digits[0]).score_samples(digits[0])
    finally:
        hook.remove()
    assert 0 < max(sizes) <= 32


@every_estimator
def test_threads_can_transform_with_one_estimator(estimator, curved):
    model = quick(estimator).fit(curved)
    expected = model.transform(curved)
    model.module_.train()  # as a user might leave it
    with ThreadPoolExecutor(4) as pool:
        for codes in pool.map(lambda _: model.transform(curved), range(20)):
            assert_array_equal(codes, expected)
    assert model.module_.training


@pytest.mark.parametrize("estimator", OF_NUMBERS)
def test_score_of_rows_that_do_not_vary(estimator, curved):
    for dtype in (np.float32, np.float64):
        X = np.tile(np.array([1.7, 0.0, -1e3], dtype=dtype), (120, 1))
        assert quick(estimator).fit(X).score(X) == 1
        assert quick(estimator).fit(X).score(X * dtype(1.5)) == 0


@pytest.mark.parametrize("estimator", OF_NUMBERS)
@pytest.mark.parametrize("init", ["auto", "random"])
@pytest.mark.parametrize("unit", [1e-20, 1e-26, 1e-45, 1e-200])
def test_units_too_small_for_squares(estimator, init, unit, curved):
    match = r"X vary by about \S+; .* squared errors are lost.*StandardScaler"
    with pytest.raises(ValueError, match=match):
        quick(estimator, init=init).fit(curved * unit)
    with pytest.raises(ValueError, match=match):
        quick(estimator, init=init).partial_fit(curved * unit)


@pytest.mark.parametrize(
    "params",
    [
        {"module": Own},
        {"loss": "huber"},
        {"loss": "absolute_error"},
        {"loss": torch.nn.SmoothL1Loss},
        {"validation_fraction": None},
    ],
    ids=str,
)
def test_units_too_small_with_other_settings(params, curved):
    with pytest.raises(ValueError, match="squared errors are lost"):
        quick(AutoencoderTransformer, **params).fit(curved * 1e-20)


@every_estimator
def test_small_numbers_that_are_no_trouble(estimator, curved):
    beside = curved * np.array([1, 1e-30, 1e-45, 1, 1e-200, 1])
    for X in (beside, curved * 1e-16, np.full((120, 3), 1e-30), np.zeros((120, 3))):
        model = quick(estimator).fit(X)
        assert np.isfinite(model.score(X))
        for rows in (X * 1e-30, 0 * X):
            assert np.isfinite(model.score_samples(rows)).all()
            assert np.isfinite(model.inverse_transform(model.transform(rows))).all()
        model.partial_fit(0 * X)
    scores = quick(estimator).fit(curved * 1e-16).score_samples(curved * 1e-16)
    assert len(np.unique(scores)) > 390


@pytest.mark.parametrize("estimator", OF_NUMBERS)
def test_score_of_one_row(estimator, curved):
    model = quick(estimator).fit(curved)
    one = np.arange(400) == 3
    for X, weight in ((curved[one], None), (curved, one.astype(float))):
        with pytest.warns(UndefinedMetricWarning, match="fewer than two rows"):
            assert np.isnan(model.score(X, sample_weight=weight))
    assert np.isfinite(model.score(curved[:2]))


def test_weights_of_a_score(curved):
    model = quick(AutoencoderTransformer).fit(curved)
    weight = np.zeros(400)
    with pytest.raises(ValueError, match="zero"):
        model.score(curved, sample_weight=weight)
    weight[:2] = -1, 1
    with pytest.raises(ValueError, match=r"[Nn]egative"):
        model.score(curved, sample_weight=weight)


@every_estimator
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_output_has_the_dtype_of_the_input(estimator, dtype, curved):
    X = curved.astype(dtype)
    model = quick(estimator).fit(X)
    codes = model.transform(X)
    assert codes.dtype == model.inverse_transform(codes).dtype == dtype
    assert model.reconstruct(X).dtype == model.score_samples(X).dtype == dtype


@every_estimator
@pytest.mark.parametrize("dtype", [bool, np.int8, np.int64])
def test_tables_of_integers_and_booleans(estimator, dtype, curved):
    X = (curved > 0).astype(dtype)
    model = quick(estimator).fit(X)
    assert model.transform(X).dtype == np.float64
    assert model.score(X) > 0.3


@every_estimator
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_rows_are_transformed_one_by_one(estimator, data):
    n_features = data.draw(st.integers(1, 12), label="n_features")
    n_rows = data.draw(st.integers(1, 70), label="n_rows")
    n_components = data.draw(st.integers(1, 15), label="n_components")
    dtype = data.draw(st.sampled_from([np.float32, np.float64]), label="dtype")
    rng = np.random.RandomState(data.draw(st.integers(0, 99), label="seed"))
    X = rng.normal(size=(n_rows, n_features)).astype(dtype)
    model = quick(estimator, n_components=n_components, max_epochs=1, init="random")
    if estimator is SparseAutoencoder:
        model.set_params(penalty="l1")  # among the largest, a rounding could choose
    assert model.fit(X).n_iter_ == 1
    codes = model.transform(X)
    assert codes.shape == (n_rows, n_components)
    assert np.isfinite(codes).all()
    assert model.reconstruct(X).shape == X.shape
    order = rng.permutation(n_rows)
    rounding = {"rtol": 1e-4, "atol": 1e-4}  # batches may have other kernels
    assert_allclose(model.transform(X[order]), codes[order], **rounding)
    row = rng.randint(n_rows)
    assert_allclose(model.transform(X[[row]]), codes[[row]], **rounding)


@pytest.mark.parametrize("estimator", OF_NUMBERS)
def test_methods_agree(estimator, curved):
    model = quick(estimator).fit(curved)
    codes = model.transform(curved)
    rows = model.reconstruct(curved)
    assert_allclose(model.inverse_transform(codes), rows, atol=1e-5)
    error = model.reconstruction_error(curved, per_feature=True)
    assert_allclose(error, (curved - rows) ** 2)
    assert_allclose(model.reconstruction_error(curved), error.mean(axis=1))
    if not model.net_.objective.logarithmic:  # densities have tests of their own
        assert_allclose(model.score_samples(curved), -error.mean(axis=1), rtol=1e-4)
    total = ((curved - curved.mean(axis=0)) ** 2).sum()
    assert_allclose(model.score(curved), 1 - error.sum() / total)
    weight = np.arange(len(curved))
    assert model.score(curved, sample_weight=weight) != model.score(curved)


@every_estimator
@pytest.mark.parametrize(
    "copied",
    [
        copy.deepcopy,
        lambda model: pickle.loads(pickle.dumps(model)),
        lambda model: joblib.load(dump(model)),
    ],
)
def test_copies_of_a_fitted_estimator(estimator, copied, curved):
    model = quick(estimator).fit(curved)
    twin = copied(model)
    assert_array_equal(twin.transform(curved), model.transform(curved))
    assert len(twin.net_.history) == len(model.net_.history) == 3
    twin.partial_fit(curved)  # trains on, and leaves the original alone
    assert np.abs(twin.transform(curved) - model.transform(curved)).max() > 0
    model.partial_fit(curved)  # with the same random numbers
    assert_array_equal(twin.transform(curved), model.transform(curved))


def dump(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return file


@every_estimator
def test_a_saved_model_holds_no_rows(estimator, curved):
    # Ten times the rows in a file of about the same size.
    rows = np.tile(curved, (50, 1))
    models = [quick(estimator, init="random").fit(X) for X in (curved, rows)]
    sizes = [len(pickle.dumps(model)) for model in models]
    assert sizes[1] < sizes[0] + curved.nbytes


@every_estimator
@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_frames_in_and_out(estimator, frame, curved):
    names = [f"column {i}" for i in range(6)]
    X = frame(curved, **{"columns" if frame is pd.DataFrame else "schema": names})
    library = "pandas" if frame is pd.DataFrame else "polars"
    model = quick(estimator).set_output(transform=library)
    codes = model.fit_transform(X)
    assert isinstance(codes, frame)
    assert list(codes.columns) == list(model.get_feature_names_out())
    assert codes.columns[0] == f"{estimator.__name__.lower()}0"
    assert list(model.feature_names_in_) == names
    assert model.n_features_in_ == 6


@every_estimator
def test_grid_search_is_the_same_with_more_jobs(estimator, digits):
    X = digits[0][:300]
    pipeline = make_pipeline(StandardScaler(), quick(estimator))
    name = estimator.__name__.lower()
    grid = {
        f"{name}__n_components": [2, 5],
        f"{name}__lr": [1e-3, 1e-2],
        f"{name}__batch_size": [32],
    }
    scores = []
    for n_jobs in (1, 2):
        search = GridSearchCV(pipeline, grid, cv=2, n_jobs=n_jobs).fit(X)
        scores.append(search.cv_results_["mean_test_score"])
        assert search.best_params_[f"{name}__n_components"] == 5
    assert_allclose(scores[0], scores[1], rtol=1e-6)


@every_estimator
def test_clone_keeps_parameters_and_drops_the_fit(estimator, curved):
    model = quick(estimator, n_components=3, lr=0.01).fit(curved)
    twin = clone(model)
    assert not hasattr(twin, "net_")
    assert twin.get_params() == model.get_params()


@every_estimator
def test_silence_and_progress(estimator, curved, capsys):
    quick(estimator).fit(curved)
    assert capsys.readouterr() == ("", "")
    quick(estimator, verbose=1).fit(curved)
    shown = capsys.readouterr()
    assert ", validation_loss " in shown.out
    assert "\r" not in shown.out  # this is no terminal
    assert f"{estimator.__name__}: Trained after 3 epochs" in shown.out
    assert shown.err == ""
    quick(estimator, verbose=2).fit(curved)
    shown = capsys.readouterr().out
    assert "valid_loss" in shown and "\x1b" not in shown


def test_a_log_has_about_ten_lines_of_a_fit(curved, capsys):
    model = AutoencoderTransformer(2, max_epochs=47, verbose=1, random_state=0)
    model.fit(curved)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 11  # a tenth of the steps each, and what was kept
    assert lines[0].startswith("AutoencoderTransformer: ")
    assert " steps, loss 0." in lines[0]
    steps, of = lines[9].split()[1], lines[9].split()[3]
    assert steps == of


def test_a_terminal_has_a_bar(curved, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    AutoencoderTransformer(2, max_epochs=3, verbose=1, random_state=0).fit(curved)
    shown = capsys.readouterr().out
    assert "\r" in shown and "100%" in shown and "validation_loss=" in shown


class Bare:
    """A stream that can be written to, and nothing else."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text


@every_estimator
@pytest.mark.parametrize("verbose", [1, 2])
def test_progress_without_a_console(estimator, verbose, curved, monkeypatch):
    closed, bare = io.StringIO(), Bare()
    closed.close()
    for stream in (None, closed, bare):
        monkeypatch.setattr("sys.stdout", stream)
        monkeypatch.setattr("sys.stderr", None)
        quick(estimator, verbose=verbose).fit(curved)
    monkeypatch.undo()
    assert f"{estimator.__name__}: Trained after 3 epochs" in bare.text


@every_estimator
def test_docstring_describes_every_parameter(estimator):
    for name in estimator().get_params():
        assert f"\n    {name} : " in estimator.__doc__, name
    assert "{" + "parameters}" not in estimator.__doc__


@every_estimator
@pytest.mark.parametrize("init", ["auto", "random"])
def test_kernel_initializer(estimator, init, curved):
    if "kernel_initializer" not in estimator().get_params():
        pytest.skip(f"{estimator.__name__} has no dense layers of its own")

    def codes(name):
        model = quick(
            estimator, kernel_initializer=name, init=init, validation_fraction=None
        )
        return model.fit(curved).transform(curved)

    orthogonal = codes("orthogonal")
    assert np.isfinite(orthogonal).all()
    assert_array_equal(orthogonal, codes("orthogonal"))
    assert np.abs(orthogonal - codes("auto")).max() > 1e-4
    with pytest.raises(ValueError, match=r"among .*'orthogonal'.* Got 'he' instead"):
        codes("he")


@every_estimator
def test_methods_of_what_is_not_fitted(estimator):
    model, X = estimator(), np.ones((5, 4))
    methods = (model.transform, model.reconstruct, model.score, model.score_samples)
    for method in methods:
        with pytest.raises(NotFittedError, match="is not fitted yet"):
            method(X)


@every_estimator
def test_metadata_routing_can_be_asked_for(estimator):
    with config_context(enable_metadata_routing=True):
        assert "sample_weight" in estimator().get_metadata_routing().fit.requests
        asking = estimator().set_fit_request(sample_weight=True)
        assert asking.get_metadata_routing().fit.requests["sample_weight"] is True
