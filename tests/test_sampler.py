"""New rows: what they have in common with those given."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from estimators import BECOMES_PCA
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import coo_matrix, csr_matrix
from sklearn.base import clone
from sklearn.datasets import load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import skae
from skae import (
    AutoencoderSampler,
    AutoencoderTransformer,
    TableAutoencoder,
    TableEncoder,
    VariationalAutoencoder,
)

pytestmark = pytest.mark.filterwarnings(BECOMES_PCA)
EMPTY = pytest.mark.filterwarnings("ignore:Columns without any value:UserWarning")


@parametrize_with_checks(
    [
        AutoencoderSampler(PCA(1)),
        AutoencoderSampler(AutoencoderTransformer(max_epochs=2)),
        AutoencoderSampler(TableAutoencoder(1, max_epochs=2)),
    ]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def gaussian(n_samples=5_000):
    rng = np.random.RandomState(0)
    X = 10 + rng.normal(size=(n_samples, 2)) @ rng.normal(size=(2, 5))
    return X + 0.3 * rng.normal(size=X.shape)


@pytest.mark.parametrize(
    "autoencoder",
    [
        AutoencoderTransformer(2, max_epochs=1),
        VariationalAutoencoder(2, max_epochs=1),
        PCA(2),
    ],
)
def test_rows_of_a_gaussian_table_have_its_moments(autoencoder):
    X = gaussian()
    sampler = AutoencoderSampler(autoencoder, random_state=0).fit(X)
    rows = sampler.sample(20_000, random_state=0)
    assert rows.shape == (20_000, 5)
    assert_allclose(rows.mean(axis=0), X.mean(axis=0), atol=0.1)
    assert_allclose(np.cov(rows.T), np.cov(X.T), atol=0.2)


def test_columns_have_the_distribution_given():
    rng = np.random.RandomState(0)
    counts = rng.poisson(2, size=(2_000, 1))
    X = np.hstack(
        [
            counts,
            np.where(counts > 1, rng.exponential(size=counts.shape), 0),  # often zero
            rng.lognormal(size=counts.shape) + counts,
            np.full_like(counts, 3),
            rng.randint(100_000, size=counts.shape),  # hardly any value twice
        ]
    )
    scaled = make_pipeline(StandardScaler(), AutoencoderTransformer(2, max_epochs=3))
    rows = AutoencoderSampler(scaled, random_state=0).fit(X).sample(5_000, 0)
    assert set(rows[:, 0]) <= set(X[:, 0])
    assert (rows[:, 3] == 3).all()
    assert set(rows[:, 4]) <= set(X[:, 4])
    for value in range(5):
        assert abs((rows[:, 0] == value).mean() - (X[:, 0] == value).mean()) < 0.03
    assert abs((rows[:, 1] == 0).mean() - (X[:, 1] == 0).mean()) < 0.03
    quantiles = np.linspace(0.05, 0.95, 10)
    assert_allclose(
        np.quantile(rows[:, 2], quantiles), np.quantile(X[:, 2], quantiles), rtol=0.06
    )
    # Between the values given, and not only these: but never beyond them.
    assert len(set(rows[:, 2])) > 4_000
    assert X[:, 2].min() <= rows[:, 2].min() < rows[:, 2].max() <= X[:, 2].max()
    # What goes together in the rows does so in new ones.
    assert np.corrcoef(rows.T[:3])[0, 1] > 0.6 * np.corrcoef(X.T[:3])[0, 1]


def test_a_classifier_hardly_tells_new_rows_from_others(curved):
    sampler = AutoencoderSampler(AutoencoderTransformer(2), random_state=0).fit(curved)
    pca = AutoencoderSampler(PCA(2), random_state=0).fit(curved)

    def told(rows):
        X = np.vstack([curved[: len(rows)], rows])
        y = np.repeat([0, 1], len(rows))
        forest = RandomForestClassifier(random_state=0)
        return cross_val_score(forest, X, y, scoring="roc_auc").mean()

    assert told(sampler.sample(400, 0)) < told(pca.sample(400, 0)) - 0.1
    assert told(sampler.sample(400, 0)) < 0.75


def test_new_rows_are_no_copies():
    X = gaussian(1_000)
    sampler = AutoencoderSampler(PCA(2), random_state=0).fit(X[:500])

    def nearest(rows):
        distance = np.linalg.norm(rows[:, None] - X[None, :500], axis=2)
        return np.median(distance.min(axis=1))

    assert nearest(sampler.sample(500, 0)) > 0.8 * nearest(X[500:])


def test_rows_do_not_depend_on_how_many_there_are():
    X = gaussian(500)
    sampler = AutoencoderSampler(PCA(2), random_state=0).fit(X)
    rng = np.random.RandomState(0)
    single = np.vstack([sampler.sample(random_state=rng) for _ in range(2_000)])
    assert single.shape == (2_000, 5)
    assert_allclose(single.mean(axis=0), X.mean(axis=0), atol=0.15)
    assert_allclose(single.std(axis=0), X.std(axis=0), atol=0.15)


def test_the_mixture_has_as_many_components_as_there_are_clusters():
    rng = np.random.RandomState(0)
    X = 1e-4 * (np.repeat(10 * np.eye(4), 200, axis=0) + rng.normal(size=(800, 4)))
    sampler = AutoencoderSampler(PCA(3), random_state=0).fit(X)
    assert len(sampler.weights_) == 4
    assert_allclose(sampler.weights_, 0.25, atol=0.01)
    codes = sampler.sample_codes(8_000, 0)
    pca = sampler.autoencoder_
    assert_allclose(np.cov(codes.T), np.cov(pca.transform(X).T), atol=1e-7)
    # Rows of all clusters come mixed.
    nearest = np.argmin(
        np.linalg.norm(codes[:40, None] - sampler.means_, axis=2), axis=1
    )
    assert set(nearest) == set(range(4))
    # It is scikit-learn's mixture, in the units of the codes.
    expected = GaussianMixture(4, random_state=0).fit(pca.transform(X) * 1e4)
    order, other = (
        np.lexsort(np.round(means * unit).T)
        for means, unit in ((expected.means_, 1), (sampler.means_, 1e4))
    )
    assert_allclose(
        sampler.covariances_[other] * 1e8,
        expected.covariances_[order],
        rtol=1e-2,
        atol=1e-3,
    )


def test_the_noise_is_as_large_as_the_error(digits):
    X = digits[0]
    autoencoder = AutoencoderTransformer(4, max_epochs=5, random_state=0).fit(X)
    sampler = AutoencoderSampler(FrozenEstimator(autoencoder)).fit(X)
    error = autoencoder.reconstruction_error(X, per_feature=True).mean(axis=0)
    assert_allclose(sampler.residual_std_, np.sqrt(error), rtol=1e-5)


def test_draws_are_reproducible_and_leave_global_generators_alone(curved):
    def states():
        numpy_state = np.random.get_state()[1].tolist()  # noqa: NPY002
        return numpy_state, torch.get_rng_state().tolist()

    before = states()
    autoencoder = AutoencoderTransformer(max_epochs=2)
    sampler = AutoencoderSampler(autoencoder, random_state=3)
    for method in ("sample", "sample_codes"):
        draw = getattr(sampler.fit(curved), method)
        rows = draw(5, random_state=1)
        assert_array_equal(rows, draw(5, random_state=1))
        assert np.abs(rows - draw(5, random_state=2)).max() > 0.01
        assert np.abs(draw(5) - draw(5)).max() > 0.01
        again = getattr(clone(sampler).fit(curved), method)(5, random_state=1)
        assert_array_equal(rows, again)
        with pytest.raises(ValueError, match=r"n_samples must be an int .* Got 0"):
            draw(0)
    assert states() == before
    assert autoencoder.random_state is None


def test_a_frozen_autoencoder_is_used_as_it_is(curved):
    autoencoder = AutoencoderTransformer(max_epochs=2, random_state=0).fit(curved)
    few = curved[:50]
    sampler = AutoencoderSampler(FrozenEstimator(autoencoder), random_state=0).fit(few)
    assert sampler.autoencoder_.estimator is autoencoder
    rows = sampler.sample(100, 0)
    assert (rows >= few.min(axis=0)).all() and (rows <= few.max(axis=0)).all()


def test_rows_have_the_dtype_of_those_given():
    for dtype in (np.float32, np.float64):
        X = load_wine().data.astype(dtype)
        assert AutoencoderSampler(PCA(2)).fit(X).sample(3).dtype == dtype
    X = (load_wine().data > 1).astype(int)
    rows = AutoencoderSampler(AutoencoderTransformer(max_epochs=1)).fit(X).sample(30)
    assert set(rows.ravel()) <= {0.0, 1.0}


@pytest.mark.parametrize("form", ["coo", "csc", "bsr"])
def test_many_rows_of_any_sparse_form(form):
    X = coo_matrix(np.random.RandomState(0).poisson(0.3, size=(4_500, 4)))
    first, second = (
        AutoencoderSampler(PCA(2), random_state=0).fit(each).sample(9, random_state=0)
        for each in (X.tocsr(), X.asformat(form))
    )
    assert_array_equal(first, second)


def test_frames_and_sparse_matrices():
    frame = load_iris(as_frame=True).data
    sampler = AutoencoderSampler(random_state=0).fit(frame)
    assert list(sampler.feature_names_in_) == list(frame.columns)
    assert sampler.sample(3, 0).shape == (3, 4)
    rng = np.random.RandomState(0)
    X = np.where(rng.uniform(size=(300, 8)) < 0.8, 0, rng.uniform(size=(300, 8)))
    autoencoder = AutoencoderTransformer(2, max_epochs=2)
    sampler = AutoencoderSampler(autoencoder, random_state=0)
    rows = sampler.fit(csr_matrix(X)).sample(500, 0)
    assert_array_equal(rows, sampler.fit(X).sample(500, 0))
    assert_allclose((rows == 0).mean(axis=0), (X == 0).mean(axis=0), atol=0.05)


def test_images_that_are_no_rows(digits):
    images = digits[0].reshape(-1, 8, 8)
    flat = FunctionTransformer(
        lambda X: X.reshape(len(X), -1), lambda X: X.reshape(len(X), 8, 8)
    )
    sampler = AutoencoderSampler(make_pipeline(flat, PCA(5)), random_state=0)
    assert sampler.fit(images).sample(7, 0).shape == (7, 8, 8)
    assert sampler.n_features_in_ == 64
    rows = AutoencoderSampler(PCA(5), random_state=0).fit(digits[0]).sample(7, 0)
    assert_allclose(sampler.sample(7, 0).reshape(7, -1), rows, atol=1e-6)


def test_fewer_rows_than_there_are_stand_for_all(tmp_path):
    X = gaussian(30_000).astype(np.float32)
    mapped = np.memmap(tmp_path / "rows", dtype=np.float32, mode="w+", shape=X.shape)
    mapped[:] = X
    samplers = [AutoencoderSampler(PCA(2), random_state=0).fit(x) for x in (X, mapped)]
    rows = [sampler.sample(20_000, 0) for sampler in samplers]
    assert_array_equal(*rows)
    assert_allclose(np.cov(rows[0].T), np.cov(X.T), atol=0.2)
    # It keeps no more of many rows than of few.
    few = AutoencoderSampler(PCA(2), random_state=0).fit(X[:4_000])
    assert len(pickle.dumps(samplers[0])) < len(pickle.dumps(few)) + 10_000


@pytest.mark.parametrize("frozen", [True, False])
def test_files(frozen, curved, tmp_path):
    autoencoder = AutoencoderTransformer(max_epochs=2, random_state=0)
    if frozen:
        autoencoder = FrozenEstimator(autoencoder.fit(curved))
    sampler = AutoencoderSampler(autoencoder, random_state=0).fit(curved)
    skae.save(sampler, tmp_path / "sampler")
    for twin in (
        skae.load(tmp_path / "sampler"),
        pickle.loads(pickle.dumps(sampler)),
    ):
        assert_array_equal(twin.sample(20, 0), sampler.sample(20, 0))


def test_codes_that_have_no_spread():
    X = np.full((50, 3), 7.0)
    for autoencoder in (AutoencoderTransformer(2), VariationalAutoencoder(2)):
        sampler = AutoencoderSampler(autoencoder, random_state=0).fit(X)
        assert_array_equal(sampler.sample(4, 0), X[:4])
    # More codes than there are columns, or than there are rows.
    X = load_iris().data[:12]
    for autoencoder in (AutoencoderTransformer(9), AutoencoderTransformer(20)):
        rows = AutoencoderSampler(autoencoder, random_state=0).fit(X).sample(50, 0)
        assert np.isfinite(rows).all()


def test_what_gives_no_codes_is_refused(curved):
    for output in ("reconstruction", "hidden"):
        autoencoder = AutoencoderTransformer(output=output)
        for given in (autoencoder, make_pipeline(StandardScaler(), autoencoder)):
            with pytest.raises(ValueError, match=f"{output}.*Set output='code'"):
                AutoencoderSampler(given).fit(curved)
    with pytest.raises(ValueError, match=r"'autoencoder' parameter .* implementing"):
        AutoencoderSampler(RandomForestClassifier()).fit(curved)
    with pytest.raises(ValueError, match="1 sample"):
        AutoencoderSampler().fit(curved[:1])
    sampler = AutoencoderSampler(AutoencoderTransformer(max_epochs=1)).fit(curved)
    before = sampler.sample(3, 0)
    with pytest.raises(ValueError, match="AutoencoderImputer"):
        sampler.fit(np.where(curved > 1, np.nan, curved))
    assert_array_equal(sampler.sample(3, 0), before)


def frames():
    rng = np.random.RandomState(0)
    columns = {
        "age": rng.randint(18, 80, 200),
        "member": rng.uniform(size=200) < 0.3,
        "income": rng.normal(3e4, 1e4, 200).round(2),
    }
    frame = pd.DataFrame(columns)
    return {
        "pandas": frame,
        "small types": frame.astype({"age": "uint8", "income": "float32"}),
        "nullable": frame.convert_dtypes(),
        "numbered columns": frame.set_axis([0, 1, 2], axis=1),
        "polars": pl.DataFrame(columns),
        "small types of polars": pl.DataFrame(columns).cast({"age": pl.UInt8}),
    }


@pytest.mark.parametrize("kind", frames())
@pytest.mark.parametrize("estimator", [AutoencoderSampler, VariationalAutoencoder])
@pytest.mark.filterwarnings("ignore:X has a column with mean:UserWarning")
def test_rows_like_those_of_a_frame(estimator, kind, tmp_path):
    frame = frames()[kind]
    if estimator is AutoencoderSampler:
        model = estimator(AutoencoderTransformer(1, max_epochs=1), random_state=0)
    else:
        model = estimator(1, max_epochs=1, random_state=0)
    rows = model.fit(frame).sample(50, random_state=0)
    assert type(rows) is type(frame)
    assert list(rows.columns) == list(frame.columns)
    assert list(rows.dtypes) == list(frame.dtypes)
    if estimator is AutoencoderSampler:
        age, member, income = np.asarray(rows, dtype=float).T
        assert set(age) <= set(range(18, 80)) and set(member) == {0, 1}
        assert 2e4 < income.mean() < 4e4
    skae.save(model, tmp_path / "model.skae")
    again = skae.load(tmp_path / "model.skae").sample(50, random_state=0)
    assert rows.equals(again)
    array = model.fit(np.asarray(frame, dtype=float)).sample(2)
    assert type(array) is np.ndarray


def test_categories_come_as_floats():
    frame = frames()["pandas"].astype({"age": "category"})
    sampler = AutoencoderSampler(AutoencoderTransformer(1, max_epochs=1)).fit(frame)
    assert list(sampler.sample(3).dtypes) == [float, bool, float]


def test_zeros_and_ones_of_a_frame():
    X = np.random.RandomState(0).uniform(size=(120, 3)) < 0.5
    frame = pd.DataFrame(X, columns=list("abc")).astype({"c": int})
    model = VariationalAutoencoder(2, loss="binary_cross_entropy", max_epochs=1)
    rows = model.fit(frame).sample(100, random_state=0)
    assert list(rows.dtypes) == [bool, bool, int]
    assert set(rows["c"]) == {0, 1}


# Tables of mixed columns


def mixed_table(n_rows=600, seed=0):
    """Return a table of columns of all kinds that one factor makes, with gaps."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal(n_rows)
    noise = rng.standard_normal((3, n_rows))
    days = pd.to_timedelta((100 * z + 20 * noise[0]).astype(int), unit="D")
    size = pd.cut(z + 0.3 * noise[1], [-9, -0.5, 0.8, 9], labels=["S", "M", "L"])
    frame = pd.DataFrame(
        {
            "price": (z + noise[0]).round(2),
            "count": np.floor(np.exp(z)).astype(int),
            "size": size,
            "member": z + noise[2] > 0,
            "day": pd.Timestamp("2020-02-29") + days,
            "points": pd.array((10 * z + noise[1]).round(), dtype="Int64"),
            "place": np.where(z + noise[0] > 0, "north", "south"),
            "constant": 7,
            "one level": "yes",
            "empty": np.nan,
        }
    )
    frame["size"] = frame["size"].cat.reorder_categories(["L", "M", "S"], ordered=True)
    often = rng.random(n_rows) < np.where(z > 0, 0.5, 0.02)
    frame.loc[often, ["price", "points"]] = None
    frame.loc[rng.random(n_rows) < 0.15, ["size", "day"]] = None
    return frame


def quick_table(n_components=3, **params):
    return TableAutoencoder(n_components, max_epochs=10, random_state=0, **params)


@EMPTY
@pytest.mark.parametrize("encoder", [None, TableEncoder(add_indicator=True)])
def test_a_table_like_that_of_fit(encoder):
    table = mixed_table()
    model = AutoencoderSampler(quick_table(encoder=encoder), random_state=0)
    rows = model.fit(table).sample(4_000, random_state=0)
    assert type(rows) is pd.DataFrame
    assert list(rows.columns) == list(table.columns)
    assert (rows.dtypes == table.dtypes).all()
    assert_array_equal(rows.index, np.arange(4_000))
    # Values are such that could have been in the table.
    assert (rows["price"].dropna().round(2) == rows["price"].dropna()).all()
    for name in ("price", "count", "day", "points"):
        low, high = table[name].min(), table[name].max()
        assert rows[name].dropna().between(low, high).all()
    assert (rows["constant"] == 7).all() and (rows["one level"] == "yes").all()
    # As often missing, and at the same time.
    share = rows.isna().mean()
    assert_allclose(share, table.isna().mean(), atol=0.05)
    assert_array_equal(rows["price"].isna(), rows["points"].isna())
    assert_array_equal(rows["size"].isna(), rows["day"].isna())
    # The distributions, and what goes together.
    for name in ("size", "place", "member", "count"):
        shares = [each[name].value_counts(normalize=True) for each in (rows, table)]
        found, given = shares
        assert_allclose(found.reindex(given.index).fillna(0), given, atol=0.06)
    for name in ("price", "points"):
        found, given = (
            each[name].dropna().astype(float).quantile([0.1, 0.3, 0.5, 0.7, 0.9])
            for each in (rows, table)
        )
        assert_allclose(found, given, atol=0.25 * table[name].std())
    for each in (rows, table):
        mean = each.groupby("size", observed=True)["points"].mean()
        assert mean["S"] + 5 < mean["M"] < mean["L"] - 5
        gaps = each["points"].isna().groupby(each["size"], observed=True).mean()
        assert gaps["L"] > gaps["S"] + 0.15


def test_levels_are_drawn_and_rare_ones_are_not_lost():
    rng = np.random.default_rng(0)
    place = rng.choice(["A", "B", "C"], 2_000, p=[0.9, 0.08, 0.02])
    many = np.array([f"id {i}" for i in rng.geometric(0.08, 2_000)])
    table = pd.DataFrame({"x": rng.normal(size=2_000), "place": place, "many": many})
    encoder = TableEncoder(max_categories=10)
    model = AutoencoderSampler(quick_table(1, encoder=encoder), random_state=0)
    rows = model.fit(table).sample(20_000, 0)
    for name in ("place", "many"):
        found, given = (
            each[name].value_counts(normalize=True).reindex(table[name].unique())
            for each in (rows, table)
        )
        assert_allclose(found.fillna(0), given, atol=0.01)
    assert rows["many"].nunique() > 0.8 * table["many"].nunique() > 30


@EMPTY
def test_values_that_are_large_where_they_are_missing():
    # Quantiles are those of the values that are there.
    table = mixed_table(2_000)
    rows = AutoencoderSampler(quick_table(), random_state=0).fit(table).sample(5_000, 0)
    found, given = rows["points"].mean(), table["points"].mean()
    assert abs(found - given) < 0.1 * table["points"].std()


@EMPTY
@pytest.mark.parametrize("frozen", [False, True])
def test_tables_in_pipelines_searches_and_files(frozen, tmp_path):
    table = mixed_table(300)
    autoencoder = quick_table()
    expected = AutoencoderSampler(autoencoder, random_state=0).fit(table)
    rows = expected.sample(30, random_state=0)
    assert rows.equals(clone(expected).fit(table).sample(30, random_state=0))
    pipeline = make_pipeline(FunctionTransformer(), autoencoder)
    search = GridSearchCV(autoencoder, {"n_components": [3]}, cv=2)
    for each in (autoencoder, pipeline, make_pipeline("passthrough", pipeline), search):
        given = FrozenEstimator(each.fit(table)) if frozen else each
        model = AutoencoderSampler(given, random_state=0).fit(table)
        assert rows.equals(model.sample(30, random_state=0))
        assert rows.equals(pickle.loads(pickle.dumps(model)).sample(30, random_state=0))
    given = FrozenEstimator(autoencoder.fit(table)) if frozen else autoencoder
    model = AutoencoderSampler(given, random_state=0).fit(table)
    skae.save(model, tmp_path / "sampler.skae")
    twin = skae.load(tmp_path / "sampler.skae")
    assert rows.equals(twin.sample(30, random_state=0))
    assert type(twin.autoencoder_) is type(model.autoencoder_)


def test_steps_before_a_table_autoencoder_are_undone():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.lognormal(size=300), "b": rng.lognormal(size=300)})
    log = FunctionTransformer(np.log, np.exp)
    rows = AutoencoderSampler(make_pipeline(log, quick_table(1))).fit(table).sample(500)
    assert list(rows.columns) == ["a", "b"]
    assert (rows > 0).all(axis=None)
    assert_allclose(rows.median(), table.median(), rtol=0.25)


@EMPTY
def test_tables_of_polars_arrays_and_lists():
    table = mixed_table(200)[["price", "count", "member", "day", "place"]]
    frame = pl.from_pandas(table)
    model = AutoencoderSampler(quick_table(2), random_state=0)
    rows = model.fit(frame).sample(30, random_state=0)
    assert type(rows) is pl.DataFrame and rows.schema == frame.schema
    cells = [["a", 1.5], ["b", 2.5], ["b", None], ["a", 0.5]] * 10
    for X in (cells, np.array(cells, dtype=object)):
        rows = model.fit(X).sample(30, random_state=0)
        assert rows.shape == (30, 2)
        assert set(rows[:, 0]) == {"a", "b"}
    X = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    assert model.fit(X).sample(5).dtype == np.float32


def test_tables_without_numbers_and_with_one_column_that_varies(tmp_path):
    rng = np.random.default_rng(0)
    kinds = pd.DataFrame({"a": rng.choice(["x", "y"], 200), "b": rng.random(200) < 0.3})
    kinds.loc[::4, "a"] = None
    for table in (kinds, kinds.assign(a="x", c=3.0), kinds[["b"]]):
        model = AutoencoderSampler(quick_table(1), random_state=0).fit(table)
        rows = model.sample(500, random_state=0)
        assert (rows.dtypes == table.dtypes).all()
        for name in table:
            assert set(rows[name].dropna()) == set(table[name].dropna())
            assert abs(rows[name].isna().mean() - table[name].isna().mean()) < 0.1
        skae.save(model, tmp_path / "sampler.skae")
        twin = skae.load(tmp_path / "sampler.skae")
        assert rows.equals(twin.sample(500, random_state=0))


def test_a_pipeline_that_does_nothing(curved):
    models = (make_pipeline("passthrough"), FunctionTransformer())
    rows = [
        AutoencoderSampler(model, random_state=0).fit(curved).sample(5, random_state=0)
        for model in models
    ]
    assert_array_equal(*rows)


def test_rows_of_a_part_of_the_table():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": rng.normal(size=300), "y": rng.normal(size=300)})
    table["kind"] = np.where(table["x"] > 0, "up", "down")
    frozen = FrozenEstimator(quick_table(2).fit(table))
    part = table[table["kind"] == "up"].assign(y=np.nan)
    model = AutoencoderSampler(frozen, random_state=0).fit(part)
    rows = model.sample(200, random_state=0)
    assert (rows["kind"] == "up").all() and rows["y"].isna().all()
    assert rows["x"].min() > 0


@EMPTY
def test_codes_of_tables_are_decoded_to_tables():
    table = mixed_table(200)
    model = AutoencoderSampler(quick_table(), random_state=0).fit(table)
    codes = model.sample_codes(7, random_state=0)
    assert codes.shape == (7, 3)
    decoded = model.autoencoder_.inverse_transform(codes)
    assert list(decoded.columns) == list(table.columns)
    # One for each of the numbers and dates.
    assert model.residual_std_.shape == (5,)


def test_what_no_table_is_made_of_is_refused():
    table = pd.DataFrame({"x": [1.0, 2.0, 3.0], "kind": ["a", "b", "a"]})
    with pytest.raises(ValueError, match="Set output='code'"):
        AutoencoderSampler(quick_table(1, output="hidden")).fit(table)
    with pytest.raises(ValueError, match="needs at least 2"):
        AutoencoderSampler(quick_table(1)).fit(table[:1])
