"""The rules of `diagnose`: each finds what it is for, and nothing where that is not."""

import copy

import numpy as np
import pytest
import torch
from estimators import BECOMES_PCA, OF_NUMBERS, quick
from modules_for_tests import ByHeart
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import coo_array, csr_array, csr_matrix
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import (
    AutoencoderTransformer,
    DenoisingAutoencoder,
    PretrainedRegressor,
    RecurrentAutoencoder,
    TableAutoencoder,
    VariationalAutoencoder,
    diagnose,
)


@pytest.fixture(scope="module")
def good(digits):
    return AutoencoderTransformer(10, max_epochs=40, random_state=0).fit(digits[0])


@pytest.fixture(scope="module")
def beginner(digits):
    """A textbook autoencoder after one epoch."""
    return AutoencoderTransformer(
        8, init="random", max_epochs=3, lr_schedule=None, random_state=0
    ).fit(digits[0])


@pytest.fixture(scope="module")
def wine():
    return train_test_split(load_wine(as_frame=True).data, random_state=0)


def test_nothing_is_found_where_nothing_is_wrong(digits):
    # In squares of four pixels, none is almost always empty.
    X_train, X = (
        rows.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(-1, 16)
        for rows in digits
    )
    model = AutoencoderTransformer(6, max_epochs=40, random_state=0).fit(X_train)
    diagnosis = diagnose(model, X, X_train)
    assert diagnosis.findings == {}
    assert diagnosis.not_checked == {}
    assert "Nothing was found by 8 of 8 rules." in str(diagnosis)


@pytest.mark.parametrize("with_training_rows", [True, False])
def test_error_above_that_of_pca(good, beginner, digits, with_training_rows):
    X_train = digits[0] if with_training_rows else None
    finding = diagnose(beginner, digits[1], X_train).findings["no_better_than_pca"]
    assert finding.figures["error"] == pytest.approx(
        beginner.reconstruction_error(digits[1]).mean()
    )
    assert finding.figures["error"] > finding.figures["pca_error"]
    assert "init='auto'" in finding.remedy
    findings = diagnose(good, digits[1], X_train).findings
    assert "no_better_than_pca" not in findings


@pytest.mark.parametrize("load", [load_iris, load_diabetes])
def test_why_it_is_just_pca(load):
    """PCA that was kept is reported with the reason, whatever the rows are."""
    X = StandardScaler().fit_transform(load().data)
    model = AutoencoderTransformer(2, max_epochs=1, lr=1e-9, random_state=0).fit(X)
    for rows in (X, X[:30], X * 0.01):
        finding = diagnose(model, rows).findings["no_better_than_pca"]
        assert finding.text.startswith(
            "Kept: PCA, not a trained network, because training"
        )
    assert model.summary().startswith("Kept: PCA, not a trained network, because")
    assert "Kept: PCA, not a trained network" in model._repr_html_()


def test_too_few_rows_are_a_reason(wine):
    for n_rows, hint in [(60, "validation_fraction=0.2 would"), (30, "=0.35 would")]:
        X = wine[0][:n_rows]
        model = AutoencoderTransformer(2, max_epochs=1, random_state=0).fit(X)
        text = diagnose(model, X).findings["no_better_than_pca"].text
        assert f"because too few of {n_rows} rows can be held out" in text
        assert hint in text
    enough = clone(model).set_params(validation_fraction=0.35).fit(X)
    assert enough.n_iter_ == 1


def test_gains_that_may_be_chance_are_reported_with_their_p_value():
    X = StandardScaler().fit_transform(load_iris().data)
    texts = []
    for seed in range(8):
        model = AutoencoderTransformer(2, max_epochs=60, random_state=seed).fit(X)
        if model.best_epoch_ == 0:
            texts.append(diagnose(model, X).findings["no_better_than_pca"].text)
    assert any("may be chance: a paired test has p = 0." in text for text in texts)


def test_pca_that_was_kept_is_told(wine):
    X_train, X_test = wine
    kept = AutoencoderTransformer(2, max_epochs=1, random_state=0).fit(X_train)
    assert kept.best_epoch_ == 0
    finding = diagnose(kept, X_test, X_train).findings["no_better_than_pca"]
    assert "PCA is the simpler tool" in finding.remedy
    assert finding.figures["error"] == pytest.approx(
        finding.figures["pca_error"], rel=1e-4
    )


def test_pca_without_error_is_no_yardstick(curved):
    wide = AutoencoderTransformer(6, max_epochs=1, random_state=0).fit(curved)
    text = diagnose(wide, curved).findings["no_better_than_pca"].text
    assert text.startswith("Kept: PCA, not a trained network, because")
    free = AutoencoderTransformer(6, init="random", max_epochs=1, random_state=0)
    assert "no_better_than_pca" in diagnose(free.fit(curved), curved).not_checked


def test_overfitting(good, digits):
    few = digits[0][:60]
    model = AutoencoderTransformer(
        8, init="random", validation_fraction=None, max_epochs=150, random_state=0
    ).fit(few)
    finding = diagnose(model, digits[1], few).findings["overfitting"]
    assert finding.figures["error"] > 1.5 * finding.figures["train_error"]
    assert "weight_decay" in finding.remedy
    diagnosis = diagnose(model, digits[1])
    assert "overfitting" not in diagnosis.findings
    assert diagnosis.not_checked["overfitting"] == "needs X_train."


@pytest.mark.parametrize(
    ("activation", "kind"), [("relu", "n_dead"), ("tanh", "n_saturated")]
)
def test_dead_and_saturated_units(digits, activation, kind):
    model = AutoencoderTransformer(
        2, hidden_layer_sizes=30, activation=activation, max_epochs=1, random_state=0
    ).fit(digits[0])
    assert "dead_units" not in diagnose(model, digits[1]).findings
    layer = model.module_.encoder[0]
    with torch.no_grad():
        if activation == "relu":
            layer.bias[:20] = -1e3
        else:
            layer.weight[:20] *= 1e4
    finding = diagnose(model, digits[1]).findings["dead_units"]
    assert finding.figures[kind] == 20
    assert "By layer: 20 of 30" in finding.text


def test_components_that_do_nothing(good, digits):
    model = copy.deepcopy(good)
    module = model.module_
    with torch.no_grad():
        for layer in (module.linear_decoder, module.decoder[0]):
            layer.weight[:, [2, 5]] = 0
    finding = diagnose(model, digits[1]).findings["collapsed_components"]
    assert_array_equal(finding.figures["components"], [2, 5])
    assert "n_components=8" in finding.remedy


def test_posterior_collapse(digits):
    model = VariationalAutoencoder(
        4, beta=100.0, init="random", max_epochs=5, random_state=0
    ).fit(digits[0])
    finding = diagnose(model, digits[1]).findings["collapsed_components"]
    assert_array_equal(finding.figures["components"], range(4))
    assert "smaller beta than 100" in finding.remedy
    model = VariationalAutoencoder(4, max_epochs=1, random_state=0).fit(digits[0])
    assert "collapsed_components" not in diagnose(model, digits[1]).findings


def test_copying(curved):
    wide = AutoencoderTransformer(6, max_epochs=1, random_state=0).fit(curved)
    diagnosis = diagnose(wide, curved)
    assert "nothing was learned" in diagnosis.findings["copying"].text
    assert "collapsed_components" in diagnosis.not_checked
    # Rows that truly have two dimensions may have a code of two.
    rng = np.random.RandomState(0)
    plane = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 10))
    narrow = AutoencoderTransformer(2, max_epochs=1, random_state=0).fit(plane)
    assert narrow.score(plane) > 0.999
    assert "copying" not in diagnose(narrow, plane).findings


def test_learning_by_heart(curved):
    model = AutoencoderTransformer(
        1, module=ByHeart(torch.tensor(curved, dtype=torch.float32)), max_epochs=1
    ).fit(curved)
    finding = diagnose(model, curved).findings["copying"]
    assert "arbitrary codes" in finding.text
    assert finding.figures["shared"] < 0.2


def test_columns_that_are_reconstructed_badly():
    rng = np.random.RandomState(0)
    plane = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 10))
    noise = rng.normal(size=300)
    model = AutoencoderTransformer(2, max_epochs=1, random_state=0)
    X = np.column_stack([plane, noise])
    finding = diagnose(model.fit(X), X).findings["badly_reconstructed_columns"]
    assert_array_equal(finding.figures["columns"], [10])
    assert finding.figures["error_share"][0] > 0.9
    findings = diagnose(model.fit(plane), plane).findings
    assert "badly_reconstructed_columns" not in findings
    # A column that hardly counts in the loss is not told of.
    X[:, 10] /= 10
    findings = diagnose(model.fit(X), X).findings
    assert "badly_reconstructed_columns" not in findings


def test_columns_that_dominate_the_loss(wine):
    X_train, X_test = wine
    model = AutoencoderTransformer(2, max_epochs=1, random_state=0).fit(X_train)
    finding = diagnose(model, X_test).findings["dominating_columns"]
    assert "1 of 13 columns" in finding.text
    assert "proline" in finding.text
    scaler = StandardScaler().set_output(transform="pandas").fit(X_train)
    X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
    findings = diagnose(model.fit(X_train), X_test).findings
    assert "dominating_columns" not in findings


def test_under_training(good, beginner, digits):
    finding = diagnose(beginner, digits[1]).findings["under_training"]
    assert "max_epochs=6" in finding.remedy
    # A training loss, where there is no other.
    model = AutoencoderTransformer(
        8, init="random", max_epochs=3, validation_fraction=None, random_state=0
    ).fit(digits[0])
    finding = diagnose(model, digits[1]).findings["under_training"]
    assert finding.text.startswith("The training loss")
    model = AutoencoderTransformer(2, max_epochs=1, random_state=0).fit(digits[0])
    assert "under_training" in diagnose(model, digits[1]).not_checked


def test_a_denoiser_is_given_noisy_rows(digits):
    X_train, X = digits
    model = DenoisingAutoencoder(
        noise="masking", noise_level=0.5, max_epochs=3, random_state=0
    ).fit(X_train)
    diagnosis = diagnose(model, X, X_train)
    assert "from noisy rows" in diagnosis.title
    if model.best_epoch_ == 0:
        finding = diagnosis.findings["no_better_than_pca"]
        assert finding.text.startswith("Kept: best linear denoiser, not a trained")
    assert "copying" in diagnosis.not_checked
    swapped = DenoisingAutoencoder(noise="swap", max_epochs=3, random_state=0)
    diagnose(swapped.fit(X_train), X, X_train)


@pytest.mark.filterwarnings(BECOMES_PCA)
@pytest.mark.parametrize("estimator", OF_NUMBERS)
def test_every_autoencoder_is_looked_at_and_left_as_it_is(estimator, digits):
    model = quick(estimator).fit(digits[0])
    codes = model.transform(digits[1])
    state = torch.random.get_rng_state()
    diagnosis = diagnose(model, digits[1], digits[0])
    assert str(diagnosis) == str(diagnose(model, digits[1], digits[0]))
    assert estimator.__name__ in str(diagnosis)
    assert_array_equal(model.transform(digits[1]), codes)
    assert_array_equal(torch.random.get_rng_state(), state)
    assert not any(module.training for module in model.net_.module_.modules())


def test_where_series_have_ended_there_is_no_error():
    rng = np.random.RandomState(0)
    series = [rng.normal(size=(n, 2)) for n in rng.randint(4, 9, size=100)]
    model = RecurrentAutoencoder(3, init="random", max_epochs=1, random_state=0)
    model.fit(series)
    diagnosis = diagnose(model, series, series)
    figures = diagnosis.findings["no_better_than_pca"].figures
    error = model.reconstruction_error(series, per_feature=True)
    assert_allclose(figures["error"], np.nanmean(error), rtol=1e-6)
    assert 0 < figures["pca_error"] < np.nanvar(np.concatenate(series))
    assert f"mean squared error {np.nanmean(error):.3g} (10" in diagnosis.title
    assert "overfitting" not in diagnosis.findings  # they are the same rows
    # Ends alone are no reason to call a column or a component bad.
    assert diagnosis.findings.keys() <= {"no_better_than_pca", "collapsed_components"}


def test_output_does_not_matter(beginner, digits):
    expected = str(diagnose(beginner, digits[1], digits[0]))
    for output in ("reconstruction", "hidden"):
        model = copy.copy(beginner).set_params(output=output)
        assert str(diagnose(model, digits[1], digits[0])) == expected


def test_samples_of_large_tables(beginner, digits, tmp_path, monkeypatch):
    X = np.memmap(tmp_path / "rows", np.float32, "w+", shape=(20_000, 64))
    X[:] = digits[0][np.arange(20_000) % 1000]
    diagnosis = diagnose(beginner, X)
    assert "on 10000 rows" in diagnosis.title
    assert str(diagnose(beginner, X)) == str(diagnosis)
    sparse = diagnose(beginner, csr_array(X))
    assert sparse.findings.keys() == diagnosis.findings.keys()
    errors = [
        each.findings["no_better_than_pca"].figures["error"]
        for each in (sparse, diagnosis)
    ]
    assert_allclose(errors[0], errors[1], rtol=1e-4)
    monkeypatch.setattr("skae._diagnose._BYTES", 4 * 64 * 50)
    assert "on 50 rows" in diagnose(beginner, X).title


def test_report_in_a_notebook_escapes_names(wine):
    X = wine[0].rename(columns={"proline": "<b>"})
    model = AutoencoderTransformer(2, max_epochs=1, random_state=0).fit(X)
    text = diagnose(model, X)._repr_html_()
    assert "&lt;b&gt; (99" in text
    assert "StandardScaler" in text
    assert "needs X_train" in text


def test_errors_say_what_to_do(beginner, digits):
    pipe = make_pipeline(StandardScaler(), beginner)
    with pytest.raises(TypeError, match=r"diagnose\(pipe\[-1\], pipe\[:-1\]"):
        diagnose(pipe, digits[1])
    with pytest.raises(ValueError, match="X has 5 rows; diagnose needs 20"):
        diagnose(beginner, digits[1][:5])


def test_rows_in_all_forms(digits):
    X = digits[1][:100]
    model = AutoencoderTransformer(3, max_epochs=3, random_state=0).fit(digits[0])
    expected = str(diagnose(model, X, X))
    for rows in (csr_matrix(X), coo_array(X), torch.as_tensor(X)):
        assert str(diagnose(model, rows, rows)) == expected


def test_estimators_around_an_autoencoder(digits):
    X = digits[0][:60]
    inner = AutoencoderTransformer(3, max_epochs=1, random_state=0)
    model = PretrainedRegressor(inner, max_epochs=1, random_state=0).fit(X, X[:, 20])
    with pytest.raises(TypeError, match=r"Got PretrainedRegressor.*its pretrainer_"):
        diagnose(model, X)
    assert diagnose(model.pretrainer_, X).n_rules > 0


def test_tables_of_mixed_columns_are_diagnosed():
    rng = np.random.default_rng(0)
    data = load_wine(as_frame=True)
    X = data.data.assign(
        cultivar=data.target.map({0: "Barolo", 1: "Grignolino", 2: "Barbera"}),
        chance=rng.choice(list("uvwxyz"), len(data.target)),
    )
    X.loc[::7, "ash"] = X.loc[::5, "cultivar"] = None
    model = TableAutoencoder(4, max_epochs=1, random_state=0).fit(X[::2])
    diagnosis = diagnose(model, X[1::2], X[::2])
    assert diagnosis.findings["no_better_than_pca"].text.startswith(
        "Kept: PCA of mixed data, not a trained network, because"
    )
    bad = diagnosis.findings["badly_reconstructed_columns"]
    assert "chance" in bad.text
    errors = model.reconstruction_error(X[1::2], per_feature=True)
    share = np.nanmean(errors[:, bad.figures["columns"]], axis=0)
    assert_allclose(bad.figures["error_share"], share, rtol=1e-5)
    assert diagnosis.not_checked["dominating_columns"] == (
        "the loss weighs all columns alike."
    )
    assert f"{np.nanmean(errors):.3g}" in diagnosis.title
    by_heart = TableAutoencoder(
        14, init="random", validation_fraction=None, max_epochs=100, random_state=0
    ).fit(X[:20])
    assert "overfitting" in diagnose(by_heart, X[20:], X[:20]).findings
