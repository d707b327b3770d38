"""scikit-learn's callbacks see the epochs of a fit, and may end it."""

import copy
import pickle

import numpy as np
import pytest
import torch
from estimators import BECOMES_PCA, ESTIMATORS, quick
from modules_for_tests import Own
from numpy.testing import assert_array_equal
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback, Checkpoint

import skae
from skae import (
    AutoencoderOutlierDetector,
    AutoencoderSampler,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    PretrainedClassifier,
    PretrainedRegressor,
    StackedAEPretrainer,
    VariationalAutoencoder,
)

callback = pytest.importorskip(
    "sklearn.callback", reason="scikit-learn has callbacks from version 1.9 on"
)
pytestmark = pytest.mark.filterwarnings(BECOMES_PCA)
every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS)


class Recorder:
    """Notes what it is told; asks to stop after so many epochs."""

    max_propagation_depth = None

    def __init__(self, stop_after=None, look=lambda fitted: None):
        self.stop_after, self.look = stop_after, look
        self.events, self.rows, self.seen = [], {}, {}

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.events.append(("begin", path(context)))

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        self.events.append(("end", path(context)))
        self.rows[path(context)] = X, y, metadata
        if fitted_estimator is not None:
            self.seen[path(context)] = self.look(fitted_estimator)
        return self.stop_after == context.task_id + 1

    def ended(self):
        return [event[1] for event in self.events if event[0] == "end"]


def path(context):
    """Names of a task and of those that it is part of, epochs with their number."""
    name = context.task_name
    if name == "epoch":
        name = context.task_id
    return (*(() if context.parent is None else path(context.parent)), name)


def epochs(*parents, n=3):
    return [(*parents, i) for i in range(n)]


def in_order(*tasks):
    """Give the events of tasks that have no parts."""
    return [(what, task) for task in tasks for what in ("begin", "end")]


@every_estimator
def test_epochs_are_tasks_and_training_is_the_same(estimator, curved):
    recorder = Recorder()
    model = quick(estimator, init="random").set_callbacks(recorder).fit(curved)
    begin, *told, end = recorder.events
    assert (begin, end) == ("setup", "teardown")
    if estimator is StackedAEPretrainer:
        parts = ["layer 1", "layer 2", "code", "all layers"]
        expected = [
            event
            for part in parts
            for event in (
                ("begin", ("fit", part)),
                *in_order(*epochs("fit", part)),
                ("end", ("fit", part)),
            )
        ]
    else:
        expected = in_order(*epochs("fit"))
    assert told == [("begin", ("fit",)), *expected, ("end", ("fit",))]
    assert_array_equal(
        model.transform(curved), quick(estimator, init="random").fit_transform(curved)
    )
    # What served the fit is not kept.
    assert not [name for name in vars(model) if name.startswith("_callback")]


class ScoresAfterEpochs(Callback):
    """Notes the R2 of the module as it is after each epoch."""

    def __init__(self, X, scores):
        self.X, self.scores = X, scores

    def on_epoch_end(self, net, **kwargs):
        x = torch.as_tensor(self.X, dtype=torch.float32)
        module = copy.deepcopy(net.plain_module_).eval()
        with torch.no_grad():
            error = (module.decode(module.encode(x)) - x).square().sum()
        total = (x - x.mean(dim=0)).square().sum()
        self.scores.append(float(1 - error / total))


@pytest.mark.parametrize("params", [{}, {"validation_fraction": None}, {"module": Own}])
@pytest.mark.parametrize("estimator", [AutoencoderTransformer, DenoisingAutoencoder])
def test_scoring_monitor_scores_the_module_of_each_epoch(estimator, params, curved):
    scores = []
    monitor = callback.ScoringMonitor(
        scoring={"r2": lambda model, X, y: model.score(X)}
    )
    model = quick(estimator, callbacks=[ScoresAfterEpochs(curved, scores)], **params)
    model.set_callbacks(monitor).fit(curved)
    fit, *told = [row["r2"] for row in monitor.get_logs().data]
    assert len(set(scores)) == 3
    assert told == pytest.approx(scores, abs=1e-5)
    assert fit == model.score(curved)


@every_estimator
def test_a_fitted_estimator_of_an_epoch_is_as_if_fit_had_ended_there(estimator, curved):
    recorder = Recorder(look=lambda fitted: (fitted, fitted.transform(curved)))
    model = quick(estimator, init="random").set_callbacks(recorder).fit(curved)
    *_, (last, _) = recorder.seen.values()
    assert_array_equal(last.transform(curved), model.transform(curved))
    for task, (fitted, codes) in recorder.seen.items():
        if task == ("fit",):
            continue
        n_epochs = task[-1] + 1
        assert fitted.n_iter_ == fitted.best_epoch_ == n_epochs
        assert fitted.loss_curve_ == model.loss_curve_[:n_epochs]
        curve = model.validation_loss_curve_[: n_epochs + 1]
        assert fitted.validation_loss_curve_ == curve
        assert fitted.best_loss_ == curve[-1]
        assert len(fitted.net_.history) == n_epochs
        # It does not change when training goes on, nor does it change what is trained.
        assert_array_equal(fitted.transform(curved), codes)
        before = model.transform(curved)
        fitted.partial_fit(curved)
        assert np.abs(fitted.transform(curved) - codes).max() > 0
        assert_array_equal(model.transform(curved), before)


def test_what_is_told_of_rows_is_there_after_each_epoch(curved):
    recorder = Recorder(look=lambda fitted: fitted.kl_per_component_)
    model = quick(VariationalAutoencoder, validation_fraction=None, lr=0.05)
    model.set_callbacks(recorder).fit(curved)
    seen = list(recorder.seen.values())
    assert not np.array_equal(seen[0], seen[1])
    assert_array_equal(seen[-1], model.kl_per_component_)


def test_checkpoints(curved, tmp_path):
    pytest.importorskip("safetensors")
    file = tmp_path / "last.skae"
    recorder = Recorder(stop_after=2, look=lambda fitted: skae.save(fitted, file))
    model = quick(AutoencoderTransformer, validation_fraction=None)
    model.set_callbacks(recorder).fit(curved)
    skae.save(model, tmp_path / "fitted.skae")
    for path in (file, tmp_path / "fitted.skae"):
        loaded = skae.load(path)
        assert_array_equal(loaded.transform(curved), model.transform(curved))
        assert loaded.n_iter_ == 2


def test_checkpoints_of_skorch(curved, tmp_path):
    file = tmp_path / "net.pickle"
    others = dict.fromkeys(["f_params", "f_optimizer", "f_criterion", "f_history"])
    checkpoint = Checkpoint(monitor=None, f_pickle=str(file), **others)
    recorder = Recorder(look=lambda fitted: fitted.net_)
    quick(AutoencoderTransformer, callbacks=[checkpoint]).set_callbacks(recorder).fit(
        curved
    )
    assert len(pickle.loads(file.read_bytes()).history) == 3


def test_rows_that_callbacks_are_given(curved):
    recorder, weight = Recorder(), np.arange(1, 401)
    quick(AutoencoderTransformer).set_callbacks(recorder).fit(curved)
    # The targets of an autoencoder are the rows, unless others are given.
    assert all(
        X is y is curved and metadata is None
        for X, y, metadata in recorder.rows.values()
    )
    quick(AutoencoderTransformer).set_callbacks(recorder).fit(curved, weight, weight)
    for X, y, metadata in recorder.rows.values():
        assert X is curved and y is weight and metadata["sample_weight"] is weight


@pytest.mark.parametrize("estimator", ["autoencoder", "classifier"])
def test_a_callback_can_stop_a_fit(estimator, curved, capsys):
    recorder = Recorder(stop_after=2)
    model = quick(AutoencoderTransformer, verbose=1, max_epochs=50)
    if estimator == "classifier":
        model = PretrainedClassifier(pretrain=False, max_epochs=50, verbose=1)
    model.set_callbacks(recorder).fit(curved, curved[:, 0] > 0)
    assert model.n_iter_ == 2
    assert "Stopped early after 2 epochs" in capsys.readouterr().out
    assert recorder.events[-2:] == [("end", ("fit",)), "teardown"]


def test_stopping_a_phase_goes_on_with_the_next(curved):
    recorder = Recorder(stop_after=1)
    model = quick(StackedAEPretrainer).set_callbacks(recorder).fit(curved)
    assert [phase["n_epochs"] for phase in model.phases_] == [1, 1, 1]
    assert model.n_iter_ == 1


@pytest.mark.parametrize(
    "params",
    [
        {"early_stopping": True, "n_iter_no_change": 1, "tol": 1e9},
        {"lr": 1e30, "init": "random"},
    ],
)
@pytest.mark.filterwarnings("ignore:.*loss was not finite")
def test_every_task_that_begins_ends(params, curved):
    recorder = Recorder(look=lambda fitted: fitted.n_iter_)
    model = quick(AutoencoderTransformer, max_epochs=20, **params)
    model.set_callbacks(recorder).fit(curved)
    n = model.n_iter_
    assert n < 20
    told = [("begin", ("fit",)), *in_order(*epochs("fit", n=n)), ("end", ("fit",))]
    assert recorder.events[1:-1] == told
    # The last epoch was a whole one, if the patience ran out.
    assert (("fit", n - 1) in recorder.seen) == ("early_stopping" in params)


def test_too_few_rows_to_train_on_are_a_task_without_epochs(curved):
    recorder = Recorder(look=lambda fitted: fitted.n_iter_)
    quick(AutoencoderTransformer).set_callbacks(recorder).fit(curved[:20])
    assert recorder.events == ["setup", *in_order(("fit",)), "teardown"]
    assert recorder.seen == {("fit",): 0}


def test_partial_fit_is_a_task_with_one_epoch(curved):
    recorder = Recorder(look=lambda fitted: fitted.n_iter_)
    model = quick(AutoencoderTransformer).set_callbacks(recorder)
    model.partial_fit(curved).partial_fit(curved)
    epoch = in_order(("fit", 0))
    told = [("begin", ("fit",)), *epoch, ("end", ("fit",))]
    assert recorder.events == 2 * ["setup", *told, "teardown"]
    assert recorder.seen == {("fit",): 2}


def test_after_an_error_callbacks_are_torn_down_and_the_model_is_as_before(curved):
    model = quick(AutoencoderTransformer).fit(curved)
    codes, before = model.transform(curved), set(vars(model))

    def fail(fitted):
        raise ArithmeticError

    for method in (model.fit, model.partial_fit):
        recorder = Recorder(look=fail)
        model.set_callbacks(recorder)
        with pytest.raises(ArithmeticError):
            method(2 * curved)
        assert recorder.events[-1] == "teardown"
        assert set(vars(model)) == before | {"_skl_callbacks"}
        assert model.n_iter_ == 3
        if method == model.fit:
            assert_array_equal(model.transform(curved), codes)


def test_classifier_is_scored_on_labelled_rows(curved):
    y = np.where(curved[:, 0] > 0, 2, 1)
    weight = np.linspace(1, 2, len(y))
    unlabelled = np.where(np.arange(len(y)) % 2, -1, y)
    monitor, recorder = callback.ScoringMonitor(scoring="accuracy"), Recorder()
    # At a low rate, some rows change their class in each epoch.
    model = PretrainedClassifier(
        quick(AutoencoderTransformer), max_epochs=3, lr=3e-4, random_state=0
    ).set_callbacks(monitor, recorder)
    model.fit(curved, unlabelled, weight)
    fit, *told = [row["accuracy"] for row in monitor.get_logs().data]
    assert fit == told[-1] == model.score(curved[::2], y[::2], weight[::2])
    assert told[0] != told[-1]
    assert recorder.ended() == [
        *epochs("fit", "fit"),  # of the pretrainer, whose fit is the first part
        ("fit", "fit"),
        *epochs("fit", "training"),
        ("fit", "training"),
        ("fit",),
    ]


def test_regressor_without_pretraining(curved):
    recorder = Recorder(look=lambda fitted: fitted.predict(curved))
    y = np.where(np.arange(400) % 2, np.nan, curved[:, 0])
    frozen = FrozenEstimator(quick(AutoencoderTransformer).fit(curved))
    for params in ({"pretrain": False}, {"pretrainer": frozen}):
        recorder.events.clear()
        model = PretrainedRegressor(max_epochs=3, **params)
        model.set_callbacks(recorder).fit(curved, y)
        assert recorder.ended() == [
            *epochs("fit", "training"),
            ("fit", "training"),
            ("fit",),
        ]
        assert np.isfinite(recorder.rows[("fit",)][1]).all()
        assert_array_equal(recorder.seen[("fit", "training", 2)], model.predict(curved))


def test_pipeline_and_search(curved):
    recorder = Recorder()
    pipeline = make_pipeline(StandardScaler(), quick(AutoencoderTransformer))
    pipeline.set_callbacks(recorder).fit(curved)
    for task in epochs("fit", "fit"):
        assert task in recorder.ended()
    pipeline.set_callbacks()
    recorder = Recorder()
    grid = {"autoencodertransformer__n_components": [1, 2]}
    search = GridSearchCV(pipeline, grid, cv=2).set_callbacks(recorder).fit(curved)
    n_epochs = sum(isinstance(task[-1], int) for task in recorder.ended())
    assert n_epochs == (2 * 2 + 1) * 3  # each candidate on each fold, and the refit
    assert not hasattr(search.best_estimator_[-1], "_skl_callbacks")


def test_sampler_passes_callbacks_on(curved):
    recorder = Recorder()
    model = quick(AutoencoderTransformer)
    AutoencoderSampler(model, random_state=0).set_callbacks(recorder).fit(curved)
    assert recorder.ended()[:3] == epochs("fit", "fit")
    recorder.events.clear()
    frozen = FrozenEstimator(model.fit(curved))
    AutoencoderSampler(frozen, random_state=0).set_callbacks(recorder).fit(curved)
    assert recorder.ended() == [("fit",)]


def test_detector_passes_callbacks_on(curved):
    recorder = Recorder()
    model = quick(AutoencoderTransformer)
    for autoencoder in (model, make_pipeline(StandardScaler(), model)):
        detector = AutoencoderOutlierDetector(autoencoder, random_state=0)
        detector.set_callbacks(recorder).fit(curved)
        assert recorder.ended()[:3] == epochs("fit", "fit")
        recorder.events.clear()


@pytest.mark.parametrize("around", ["alone", "pipeline", "search"])
def test_progress_bar(around, curved, capsys, monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setenv("COLUMNS", "200")  # in narrow terminals names are cut off
    model = quick(AutoencoderTransformer)
    if around == "pipeline":
        model = make_pipeline(StandardScaler(), model)
    elif around == "search":
        model = GridSearchCV(model, {"n_components": [1, 2]}, cv=2)
    model.set_callbacks(callback.ProgressBar()).fit(curved)
    shown = capsys.readouterr().out
    assert "AutoencoderTransformer - fit" in shown and "100%" in shown
