"""The autoencoder of tables of mixed columns."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from estimators import BECOMES_PCA, quick
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_wine
from sklearn.decomposition import PCA
from sklearn.metrics import log_loss, r2_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, QuantileTransformer
from skorch.callbacks import Callback

import skae
from skae import PretrainedClassifier, TableAutoencoder, TableEncoder
from skae.modules import DenseAutoencoder
from skae.modules._mixed_link import LEVEL, MARK, NUMBER, MixedLink
from skae.plotting import (
    CodeGridDisplay,
    ErrorDisplay,
    FeatureDisplay,
    ReconstructionDisplay,
)
from skae.training import Table, mixed_loss

pytestmark = pytest.mark.filterwarnings(BECOMES_PCA)

# Two numbers, a category of three levels, and a mark, in another order.
KIND = [LEVEL, LEVEL, LEVEL, NUMBER, MARK, NUMBER]
BLOCK = [0, 0, 0, 1, 2, 3]


def mixed_rows(n_rows=200, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n_rows, 2))
    level = np.digitize(z[:, 0], [-0.5, 0.7])
    return np.column_stack(
        [np.eye(3)[level], z[:, 0] + z[:, 1], z[:, 1] > 0, 2 * z[:, 1] + 3]
    ).astype(float)


def with_gaps(rows, share=0.2, seed=1):
    rng = np.random.default_rng(seed)
    rows = rows.copy()
    for block in range(4):
        gone = np.flatnonzero(rng.random(len(rows)) < share)
        rows[np.ix_(gone, np.flatnonzero(np.array(BLOCK) == block))] = np.nan
    return rows


@pytest.fixture
def wine():
    """A table of numbers, categories and booleans, with gaps in most columns."""
    frame = load_wine(as_frame=True).frame
    frame["target"] = frame["target"].map({0: "Barolo", 1: "Grignolino", 2: "Barbera"})
    frame["strong"] = frame["alcohol"] > 13
    frame["hue"] = pd.cut(frame["hue"], 4, labels=["low", "middle", "high", "top"])
    frame["proline"] = frame["proline"].astype("Int64")
    rng = np.random.default_rng(0)
    for name in ("alcohol", "ash", "target", "hue", "proline"):
        frame.loc[rng.random(len(frame)) < 0.15, name] = None
    return frame


# The link and the loss


def test_probabilities_of_each_block_add_up_to_one():
    link = MixedLink(6)
    link.set(KIND, BLOCK)
    logits = 100 * torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
    rows = link(logits)
    assert_allclose(rows[:, :3], logits[:, :3].softmax(1), atol=1e-6)
    assert_array_equal(rows[:, [3, 5]], logits[:, [3, 5]])
    assert_allclose(rows[:, 4], logits[:, 4].sigmoid(), atol=1e-6)


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_gradient_by_hand_is_that_of_autograd(gaps, weighted):
    X = with_gaps(mixed_rows()) if gaps else mixed_rows()
    X[0] = np.nan if gaps else X[0]
    loss = mixed_loss(Table(X), np.array(KIND), np.array(BLOCK))
    x = torch.tensor(X, dtype=torch.float32)
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(x.shape, generator=generator).requires_grad_()
    weight = torch.rand(len(x), generator=generator) if weighted else None
    losses = loss.row_losses(logits, x)
    mean = losses.mean() if weight is None else (losses * weight).mean()
    mean.backward()
    value, gradient = loss.mean_with_gradient(logits.detach(), x, weight, 1.0)
    assert torch.isfinite(logits.grad).all()
    assert_allclose(value, mean.detach(), rtol=1e-5)
    assert_allclose(gradient, logits.grad, atol=1e-7)
    assert (losses[0] == 0) == gaps


def test_the_loss_of_the_mean_row_is_one_and_constants_do_not_count():
    X = np.column_stack([mixed_rows(), np.full(200, 7.0), np.ones(200)])
    kind, block = np.array([*KIND, NUMBER, LEVEL]), np.array([*BLOCK, 4, 5])
    loss = mixed_loss(Table(X), kind, block)
    mean = X.mean(axis=0)
    logits = np.where(kind == NUMBER, mean, np.log(mean.clip(1e-9)))
    logits[4] = np.log(mean[4] / (1 - mean[4]))
    x = torch.tensor(X, dtype=torch.float32)
    logits = torch.tensor(logits, dtype=torch.float32).expand_as(x)
    assert_allclose(loss.row_losses(logits, x).mean(), 1, rtol=1e-5)
    entries = loss.entries(logits, x).numpy()
    assert np.isnan(entries[:, 6:]).all()
    for columns in ([0, 1, 2], [3], [4], [5]):
        assert_allclose(entries[:, columns].sum(axis=1).mean(), 1, rtol=1e-5)


def test_weights_in_the_units_of_the_loss_are_copies_of_rows():
    X, weight = with_gaps(mixed_rows()), np.arange(200) % 3 + 1.0
    weighted = mixed_loss(Table(X, weight=weight), np.array(KIND), np.array(BLOCK))
    copied = Table(np.repeat(X, weight.astype(int), axis=0))
    copied = mixed_loss(copied, np.array(KIND), np.array(BLOCK))
    assert_allclose(weighted.rate, copied.rate, rtol=1e-5)


def test_module_with_link_for_categories():
    module = DenseAutoencoder(6, 2, link="mixed")
    module.mixed_link.set(KIND, BLOCK)
    rows = module(torch.randn(5, 6))
    assert_allclose(rows[:, :3].detach().sum(1), np.ones(5), rtol=1e-5)
    with pytest.raises(ValueError, match="link must be 'identity', 'mixed', 'sigmoid'"):
        DenseAutoencoder(6, 2, link="softmax")


# What is learned


def diabetes():
    """Numbers of which some are made categories."""
    frame = load_diabetes(as_frame=True, scaled=False).data
    for name in ("bmi", "s5", "bp"):
        frame[name] = pd.qcut(frame[name], 4, labels=list("abcd")).astype(str)
    frame["sex"] = frame["sex"].map({1.0: "f", 2.0: "m"})
    return frame


@pytest.mark.filterwarnings("ignore:TableAutoencoder. the loss was not finite")
def test_training_is_kept_only_if_it_beats_the_floor():
    frame = diabetes()
    for seed in range(3):
        model = quick(TableAutoencoder, max_epochs=30, random_state=seed).fit(frame)
        floor = model.validation_loss_curve_[0]
        assert model.best_loss_ <= max(floor, model.best_loss_ * (1 + 1e-9))
        if model.best_epoch_ > 0:
            assert model.best_loss_ < floor
    bad = quick(TableAutoencoder, lr=10.0).fit(frame)
    assert bad.best_epoch_ == 0
    assert "State kept: PCA of mixed data" in bad.summary()
    start = quick(TableAutoencoder, lr=1e-12, validation_fraction=None).fit(frame)
    assert_allclose(bad.score(frame), start.score(frame), atol=1e-3)


def test_training_finds_more_than_the_floor_where_there_is_more():
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 2000)
    numbers = np.stack([np.cos(i * angle) for i in (1, 2, 3)], axis=1)
    frame = pd.DataFrame(numbers, columns=["a", "b", "c"])
    frame["octant"] = [f"octant {i}" for i in (angle // (np.pi / 4)).astype(int)]
    train, test = frame[:1500], frame[1500:]
    model = TableAutoencoder(2, max_epochs=20, random_state=0).fit(train)
    start = quick(TableAutoencoder, lr=1e-12, validation_fraction=None).fit(train)
    assert model.best_epoch_ > 0
    assert model.score(test) > start.score(test) + 0.1


def test_more_components_reconstruct_more():
    frame = diabetes()
    scores = [
        quick(TableAutoencoder, n_components=k).fit(frame).score(frame)
        for k in (1, 4, 9)
    ]
    assert scores == sorted(scores)
    assert scores[2] > scores[0] + 0.2


def test_floor_of_numbers_alone_is_pca():
    X = load_diabetes(scaled=False).data
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    model = quick(TableAutoencoder, n_components=3, validation_fraction=None, lr=1e-12)
    pca = PCA(3).fit(X)
    assert_allclose(
        model.fit(X).score(X), pca.explained_variance_ratio_.sum(), rtol=1e-4
    )


@pytest.mark.parametrize("n_components", [2, 30])
def test_floor_with_gaps_and_more_components_than_columns(wine, n_components):
    model = quick(TableAutoencoder, n_components=n_components, lr=1e-12)
    assert 0.2 < model.fit(wine).score(wine) <= 1


# Tables in and out


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_tables_come_back_as_they_were(wine, library):
    frame = wine if library == "pandas" else pl.from_pandas(wine)
    model = quick(TableAutoencoder).fit(frame)
    for back in (
        model.reconstruct(frame),
        model.inverse_transform(model.transform(frame)),
    ):
        assert type(back) is type(frame)
        assert list(back.columns) == list(frame.columns)
        assert list(back.dtypes) == list(frame.dtypes)
        assert back.shape == frame.shape
    missing = (
        back.isna().any(axis=None)
        if library == "pandas"
        else sum(back.null_count().row(0))
    )
    assert not missing
    assert set(back["target"]) <= {"Barolo", "Grignolino", "Barbera"}


def test_reconstructions_have_the_index_of_the_table(wine):
    some = wine.iloc[::-7]
    back = quick(TableAutoencoder).fit(wine).reconstruct(some)
    assert_array_equal(back.index, some.index)
    model = quick(TableAutoencoder).set_output(transform="pandas").fit(wine)
    assert_array_equal(model.inverse_transform(model.transform(some)).index, some.index)


def test_arrays_of_objects():
    X = diabetes().to_numpy(object)
    X[::9, 0], X[::5, 2] = None, np.nan
    model = quick(TableAutoencoder).fit(X)
    back = model.reconstruct(X)
    assert back.shape == X.shape
    assert set(back[:, 2]) <= set("abcd")
    assert list(model.category_probabilities(X)) == [1, 2, 3, 8]


def test_names_that_are_integers(wine):
    wine.columns = range(len(wine.columns))
    back = quick(TableAutoencoder).fit(wine).reconstruct(wine)
    assert list(back.columns) == list(range(15))


@pytest.mark.filterwarnings("ignore:Columns without any value in fit")
def test_constant_and_empty_columns_and_rows(wine):
    wine["constant"], wine["same"], wine["empty"] = 3.5, "yes", np.nan
    wine = wine.astype({"strong": "boolean"})
    wine.iloc[4] = None
    model = quick(TableAutoencoder).fit(wine)
    assert np.isfinite(model.transform(wine)).all()
    back = model.reconstruct(wine)
    assert (back["constant"] == 3.5).all()
    assert (back["same"] == "yes").all()
    assert back["empty"].isna().all()
    error = model.reconstruction_error(wine, per_feature=True)
    assert np.isnan(error[:, -3:]).all()
    assert np.isnan(model.score_samples(wine)[4])
    assert np.isfinite(model.score(wine))


@pytest.mark.filterwarnings("ignore:Columns without any value in fit")
def test_more_empty_columns_than_others():
    rng = np.random.default_rng(0)
    X = np.full((150, 5), np.nan)
    X[:, 2] = rng.standard_normal(150)
    model = quick(TableAutoencoder).fit(X)
    error = model.reconstruction_error(X, per_feature=True)
    assert_array_equal(np.isnan(error).all(axis=0), [True, True, False, True, True])
    assert model.score(X) > 0.99


def test_nothing_varies():
    X = np.ones((40, 3))
    model = quick(TableAutoencoder).fit(X)
    assert model.score(X) == 1
    assert_array_equal(model.reconstruct(X), X)
    assert np.isnan(model.reconstruction_error(X, per_feature=True)).all()


def test_a_column_whose_only_value_is_in_any_row(wine):
    wine["note"], wine["number"] = None, np.nan
    for row in range(0, 120, 10):
        table = wine.copy()
        table.loc[row, "note"], table.loc[row + 1, "number"] = "x", 2.0
        model = quick(TableAutoencoder, max_epochs=1).fit(table)
        assert np.isfinite(model.transform(table)).all()
        assert np.isfinite(model.score(table))


def test_an_unknown_level_is_a_missing_value(wine):
    model = quick(TableAutoencoder).fit(wine)
    new = wine[:3].assign(target=["Riesling", None, "Barolo"])
    missing = wine[:3].assign(target=[None, None, "Barolo"])
    assert_array_equal(model.transform(new), model.transform(missing))
    error = model.reconstruction_error(new, per_feature=True)
    column = list(wine.columns).index("target")
    assert_array_equal(np.isnan(error[:, column]), [True, True, False])


def test_unknown_levels_of_a_table_of_very_many_levels():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        rng.integers(0, 550, (3000, 2)).astype(str), columns=["a", "b"]
    )
    encoder = TableEncoder(max_categories=None)
    model = quick(TableAutoencoder, encoder=encoder, max_epochs=1).fit(frame)
    new = pd.DataFrame({"a": ["none"], "b": [None]})
    assert_allclose(model.transform(new), np.zeros((1, 2)), atol=0.1)


# Errors and scores


def test_scores_of_complete_tables_are_r2_and_mcfadden():
    frame = diabetes()
    model = quick(TableAutoencoder, n_components=4, validation_fraction=None).fit(frame)
    # Neither clipped nor rounded, as the loss has them.
    encoder = model.encoder_
    matrix = encoder.transform(frame)
    with torch.no_grad():
        rows = model.module_(torch.tensor(matrix, dtype=torch.float32)).numpy()
    probabilities = model.category_probabilities(frame)
    expected = []
    for block in encoder.blocks_:
        x = matrix[:, block.columns]
        if block.kind == "number":
            expected.append(r2_score(x, rows[:, block.columns]))
            continue
        share = x.mean(axis=0)
        p = np.stack(list(probabilities[block.name].values()), axis=1)
        labels = x.argmax(axis=1)
        expected.append(
            1
            + log_loss(labels, p / p.sum(axis=1, keepdims=True))
            / (share @ np.log(share))
        )
    error = model.reconstruction_error(frame, per_feature=True)
    assert_allclose(1 - error.mean(axis=0), expected, atol=1e-4)
    assert_allclose(model.score(frame), np.mean(expected), atol=1e-4)


def test_methods_agree(wine):
    model = quick(TableAutoencoder).fit(wine)
    error = model.reconstruction_error(wine, per_feature=True)
    assert_array_equal(np.isnan(error), wine.isna())
    assert_allclose(
        model.reconstruction_error(wine), np.nanmean(error, axis=1), rtol=1e-5
    )
    assert_allclose(model.score_samples(wine), -np.nanmean(error, axis=1), rtol=1e-5)
    assert_allclose(model.score(wine), 1 + model.score_samples(wine).mean(), rtol=1e-6)
    weight = np.arange(len(wine)) % 3
    copies = wine.loc[wine.index.repeat(weight)]
    assert_allclose(
        model.score(wine, sample_weight=weight), model.score(copies), rtol=1e-5
    )


def test_a_swapped_cell_has_a_high_error(wine):
    model = quick(TableAutoencoder, n_components=5, max_epochs=20).fit(wine)
    wrong = wine.dropna().copy()
    wrong["target"] = wrong["target"].map(
        {"Barolo": "Barbera", "Barbera": "Barolo", "Grignolino": "Barolo"}
    )
    column = list(wine.columns).index("target")
    errors = [
        model.reconstruction_error(frame, per_feature=True)[:, column].mean()
        for frame in (wine.dropna(), wrong)
    ]
    assert errors[1] > 2 * errors[0]


def test_probabilities_of_levels(wine):
    model = quick(TableAutoencoder).fit(wine)
    probabilities = model.category_probabilities(wine)
    assert list(probabilities) == ["hue", "target", "strong"]
    assert list(probabilities["hue"]) == ["low", "middle", "high", "top"]
    assert list(probabilities["strong"]) == [False, True]
    table = pd.DataFrame(probabilities["target"])
    assert_allclose(table.sum(axis=1), np.ones(len(wine)), rtol=1e-5)
    back = model.reconstruct(wine)["target"]
    assert_array_equal(table.idxmax(axis=1), back)


# Parameters


def test_encoder_is_cloned_and_says_what_categories_are(wine):
    encoder = TableEncoder(categorical_features=["target", "hue", "strong", "ash"])
    encoder.set_params(max_categories=5)
    model = quick(TableAutoencoder, encoder=encoder).fit(wine)
    assert not hasattr(encoder, "blocks_")
    assert len(model.category_probabilities(wine)["ash"]) == 5
    assert clone(model).encoder.max_categories == 5


@pytest.mark.parametrize(
    "scaler",
    [
        None,
        QuantileTransformer(n_quantiles=50),
        FunctionTransformer(np.log1p, np.expm1),
    ],
    ids=["none", "quantiles", "logarithms"],
)
def test_whatever_the_scaler_numbers_are_standardised(scaler):
    X = load_wine().data
    model = quick(TableAutoencoder, encoder=TableEncoder(scaler=scaler)).fit(X)
    matrix = model.encoder_.transform(X)
    assert_allclose(matrix.std(axis=0), np.ones(13), rtol=1e-6)
    assert model.score(X) > 0.3


def test_missing_values_can_come_back():
    rng = np.random.default_rng(0)
    a = rng.standard_normal(400)
    frame = pd.DataFrame({"a": a, "b": np.where(a > 0, a, np.nan), "c": 2 * a})
    encoder = TableEncoder(add_indicator=True)
    model = quick(TableAutoencoder, encoder=encoder, max_epochs=40).fit(frame)
    back = model.reconstruct(frame)
    assert (back["b"].isna() == frame["b"].isna()).mean() > 0.9
    assert not quick(TableAutoencoder).fit(frame).reconstruct(frame)["b"].isna().any()


def test_rows_of_weight_zero_are_not_there(wine):
    wine["target"] = wine["target"].where(wine.index > 1, "Riesling")
    wine.loc[0, "magnesium"] = 1e6
    weight = (wine.index > 1).astype(float)
    model = quick(TableAutoencoder).fit(wine, sample_weight=weight)
    rest = quick(TableAutoencoder).fit(wine[2:])
    assert_array_equal(model.transform(wine), rest.transform(wine))
    assert "Riesling" not in model.category_probabilities(wine)["target"]


def test_validation_rows_and_groups(wine):
    train, valid = train_test_split(wine, random_state=0)
    empty = valid.astype({"strong": "boolean"})
    empty.iloc[0] = None
    model = quick(TableAutoencoder).fit(
        train.astype({"strong": "boolean"}), X_val=empty
    )
    assert len(model.validation_loss_curve_) == 4
    groups = np.arange(len(wine)) // 3
    assert np.isfinite(quick(TableAutoencoder).fit(wine, groups=groups).best_loss_)
    with pytest.raises(ValueError, match="X_val has no value in the columns"):
        model.fit(train, X_val=train.astype(object).mask(train.notna()))


def test_training_goes_on_with_the_first_encoder(wine):
    model = quick(TableAutoencoder).partial_fit(wine)
    levels = list(model.category_probabilities(wine)["target"])
    new = wine.assign(target="Riesling")
    model.partial_fit(new).partial_fit(wine)
    assert list(model.category_probabilities(wine)["target"]) == levels
    assert model.n_iter_ == 3
    assert np.isfinite(model.score(wine))


@pytest.mark.parametrize("params", [{"optimizer": "lbfgs"}, {"hidden_layer_sizes": ()}])
def test_other_settings(wine, params):
    model = quick(TableAutoencoder, **params).fit(wine)
    assert model.score(wine) > 0.2


def test_hidden_activations_and_names(wine):
    model = quick(TableAutoencoder, hidden_layer_sizes=(7, 4)).fit(wine)
    assert model.get_feature_names_out().tolist() == [
        "tableautoencoder0",
        "tableautoencoder1",
    ]
    assert model.set_params(output="hidden").transform(wine).shape == (178, 11)
    with pytest.raises(ValueError, match=r"'output' parameter .* 'reconstruction'"):
        quick(TableAutoencoder, output="reconstruction").fit(wine)


def test_callbacks_see_reconstructions(wine):
    seen = []

    class Looks(Callback):
        def on_batch_end(self, net, y_pred=None, **kwargs):
            seen.append(y_pred)

    model = quick(TableAutoencoder, callbacks=[Looks()], max_epochs=1).fit(wine)
    block = next(b for b in model.encoder_.blocks_ if b.name == "hue")
    total = seen[0][:, block.columns].sum(1)
    assert_allclose(total.detach(), np.ones(len(total)), rtol=1e-5)


# Together with others


def test_grid_search_and_pipeline(wine):
    pipeline = make_pipeline(quick(TableAutoencoder, encoder=TableEncoder()))
    grid = {
        "tableautoencoder__n_components": [1, 6],
        "tableautoencoder__encoder__max_categories": [3, None],
    }
    search = GridSearchCV(pipeline, grid, cv=2).fit(wine)
    assert search.best_params_["tableautoencoder__n_components"] == 6
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("way", ["pickle", "file"])
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_copies_are_the_same(wine, way, library, tmp_path):
    frame = wine if library == "pandas" else pl.from_pandas(wine)
    encoder = TableEncoder(scaler=QuantileTransformer(n_quantiles=20))
    model = quick(TableAutoencoder, encoder=encoder).fit(frame)
    if way == "pickle":
        twin = pickle.loads(pickle.dumps(model))
    else:
        skae.save(model, tmp_path / "model.skae")
        twin = skae.load(tmp_path / "model.skae")
    assert_array_equal(twin.transform(frame), model.transform(frame))
    assert twin.reconstruct(frame).equals(model.reconstruct(frame))
    assert_array_equal(
        twin.reconstruction_error(frame, per_feature=True),
        model.reconstruction_error(frame, per_feature=True),
    )
    model.partial_fit(frame)
    twin.partial_fit(frame)
    assert_array_equal(twin.transform(frame), model.transform(frame))


def test_summary_has_the_width_of_the_table_and_of_the_matrix(wine):
    model = quick(TableAutoencoder).fit(wine)
    assert "15 columns, 2 components, 21 columns of the matrix" in model.summary()


def test_halves_take_the_matrix(wine):
    model = quick(TableAutoencoder).fit(wine)
    x = torch.tensor(model.encoder_.transform(wine), dtype=torch.float32)
    codes = model.encoder_module_(x)
    assert_allclose(codes.detach(), model.transform(wine), atol=1e-5)
    rows = model.decoder_module_(codes).detach().numpy()
    assert model.encoder_.inverse_transform(rows).equals(model.reconstruct(wine))


def test_errors_by_column_can_be_shown(wine):
    pytest.importorskip("matplotlib").use("Agg")
    display = ErrorDisplay.from_estimator(quick(TableAutoencoder).fit(wine), wine)
    assert {text.get_text() for text in display.ax_.get_yticklabels()} == set(wine)
    assert display.ax_.get_xlabel() == "mean loss in units of the column"


def test_reconstructions_can_be_shown(wine):
    pytest.importorskip("matplotlib").use("Agg")
    model = quick(TableAutoencoder).fit(wine)
    few = wine.iloc[:3]
    display = ReconstructionDisplay.from_estimator(model, few)
    texts = [[text.get_text() for text in row] for row in display.texts_]
    name = next(each for each in wine if few[each].dtype == "category")
    place = list(wine).index(name)
    shown = [row[place] for row in texts[1::2]]
    assert shown == [str(each)[:12] for each in model.reconstruct(few)[name]]
    for each, missing in zip(texts[::2], few.isna().to_numpy(), strict=True):
        assert [text == "–" for text in each] == missing.tolist()
    marked = display.image_.get_array()[1::3]
    errors = model.reconstruction_error(few, per_feature=True)
    assert_allclose(np.ma.filled(marked, np.nan), errors)
    with pytest.raises(ValueError, match="X_noisy, image_shape and series_shape"):
        ReconstructionDisplay.from_estimator(model, few, image_shape=(2, 2))


def test_what_takes_numbers_alone_says_so(wine):
    model = quick(TableAutoencoder).fit(wine)
    for display in (CodeGridDisplay, FeatureDisplay):
        with pytest.raises(TypeError, match="shows rows of numbers, but Table"):
            display.from_estimator(model, wine)
    classifier = PretrainedClassifier(quick(TableAutoencoder))
    X, y = load_wine(return_X_y=True)
    with pytest.raises(ValueError, match="TableAutoencoder cannot be a pretrainer"):
        classifier.fit(X, y)
    pytest.importorskip("onnxscript")
    with pytest.raises(ValueError, match="Export its module_ with torch"):
        skae.to_onnx(model)


def test_errors_name_the_column(wine):
    with pytest.raises(
        ValueError, match=r"Column 'alcohol' of X .* 'strong one' in row 0"
    ):
        quick(TableAutoencoder).fit(wine).transform(wine.assign(alcohol="strong one"))
    with pytest.raises(ValueError, match="feature names should match"):
        quick(TableAutoencoder).fit(wine).transform(wine.drop(columns="ash"))
    huge = wine.assign(ash=1e30)
    with pytest.raises(ValueError, match="magnitude up to"):
        quick(TableAutoencoder).fit(wine).transform(huge)


@pytest.mark.parametrize("init", ["auto", "random"])
def test_categories_that_do_not_vary(init):
    table = pd.DataFrame({"level": ["same"] * 120, "number": [1.5] * 120})
    model = TableAutoencoder(1, init=init, max_epochs=2, random_state=0).fit(table)
    assert np.isfinite(model.transform(table)).all()
    assert model.reconstruct(table).equals(table)


@pytest.mark.parametrize("n_components", range(1, 9))
def test_codes_that_cannot_vary_do_no_harm(n_components):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "sex": rng.choice(["m", "f"], 300),
            "class": rng.choice(["1", "2", "3"], 300),
            "survived": rng.random(300) > 0.5,
        }
    )
    few = table.assign(code=table["class"].map({"1": "a", "2": "b", "3": "c"}))
    for X in (table, few):
        model = TableAutoencoder(n_components, max_epochs=1, random_state=0).fit(X)
        assert model.score(X) > (0.9 if n_components >= 4 else 0.2)


def test_constant_columns_take_no_code():
    X = load_wine(as_frame=True).data.iloc[:, :6]
    gaps = X.mask(np.random.default_rng(0).random(X.shape) < 0.1)
    scores = [
        TableAutoencoder(4, hidden_layer_sizes=(), max_epochs=1, random_state=0)
        .fit(table)
        .score(table)
        for table in (gaps, gaps.assign(unit=5.0, currency="EUR"))
    ]
    assert scores[1] > scores[0] - 0.01
