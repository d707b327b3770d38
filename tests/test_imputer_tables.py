"""The imputer of tables with categories, booleans and dates."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from pandas.testing import assert_frame_equal, assert_series_equal
from sklearn.datasets import load_wine
from sklearn.model_selection import GridSearchCV, KFold

import skae
from skae import AutoencoderImputer, TableEncoder
from skae.noise import MissingNoise
from tests.test_table_encoder import tables

FRUIT = ["apple", "pear", "plum"]


def whole():
    """Return the wines as a table with columns of all kinds."""
    data = load_wine(as_frame=True)
    X = data.data
    first = pd.Timestamp("2020-01-01")
    return pd.DataFrame(
        {
            "alcohol": X["alcohol"],
            "proline": X["proline"].astype("Int64"),
            "cultivar": pd.Categorical.from_codes(data.target, FRUIT),
            "dark": (X["color_intensity"] > 5).astype("boolean"),
            "taste": np.where(X["flavanoids"] > 2, "full", "flat"),
            "bottled": first + pd.to_timedelta(X["magnesium"], unit="D"),
            "flavanoids": X["flavanoids"],
            "hue": X["hue"].astype("float32"),
        }
    )


def with_gaps(table, share=0.2, seed=0):
    rng = np.random.default_rng(seed)
    return table.mask(rng.uniform(size=table.shape) < share)


def quick(**params):
    return AutoencoderImputer(**{"max_epochs": 5, "random_state": 0, **params})


def gaussian(**params):
    return AutoencoderImputer(**{"hidden_layer_sizes": (), "random_state": 0, **params})


@pytest.mark.parametrize("make", [quick, gaussian])
def test_gaps_are_filled_and_everything_else_stays(make):
    table = whole()
    X = with_gaps(table)
    X.index = X.index + 7
    filled = make().fit(X).transform(X)
    assert not filled.isna().any(axis=None)
    assert filled.dtypes.to_dict() == X.dtypes.to_dict()
    assert filled.index.equals(X.index)
    assert_frame_equal(filled.mask(X.isna()), X)


def test_categories_are_found_more_often_than_the_most_frequent_one():
    table = whole()
    X = with_gaps(table)
    filled = quick().fit(X).transform(X)
    for name in ("cultivar", "taste"):
        gone = X[name].isna()
        true = table[name][gone].astype(str)
        found = (filled[name][gone].astype(str) == true).mean()
        assert found > (X[name].mode()[0] == true).mean() + 0.1


def test_complete_rows_are_returned_as_they_are():
    table = whole()
    assert_frame_equal(quick().fit(with_gaps(table)).transform(table), table)


def test_gaps_of_new_rows_are_filled_after_complete_ones():
    table = whole()
    filled = quick().fit(table).transform(with_gaps(table))
    assert not filled.isna().any(axis=None)


def test_polars():
    X = pl.from_pandas(with_gaps(whole()))
    filled = quick().fit(X).transform(X)
    assert filled.schema == X.schema
    assert sum(filled.null_count().row(0)) == 0


def test_array_of_objects():
    X = with_gaps(whole())[["taste", "alcohol"]].to_numpy(dtype=object)
    filled = quick().fit_transform(X)
    there = ~pd.isna(X)
    assert (filled[there] == X[there]).all()
    assert set(filled[:, 0]) == {"full", "flat"}


def test_array_of_numbers_as_objects_has_no_encoder():
    X = np.array([[1, None], [2, 3.5], [4, 1.0]], dtype=object)
    imputer = gaussian().fit(X)
    assert imputer.encoder_ is None
    assert imputer.transform(X).dtype == np.float64


def test_frame_of_numbers_has_no_encoder_unless_one_is_given():
    X = with_gaps(load_wine(as_frame=True).data)
    assert gaussian().fit(X).encoder_ is None
    imputer = gaussian(encoder=TableEncoder()).fit(X)
    assert isinstance(imputer.encoder_, TableEncoder)
    assert isinstance(imputer.transform(X), pd.DataFrame)


def test_columns_of_numbers_may_be_declared_categories():
    X = with_gaps(whole()[["hue", "flavanoids"]])
    X["code"] = with_gaps(pd.DataFrame(load_wine().target * 10.0), seed=1)[0]
    encoder = TableEncoder(categorical_features=["code"])
    filled = quick(encoder=encoder).fit(X).transform(X)
    assert set(filled["code"]) == {0.0, 10.0, 20.0}


def test_indicator():
    X = with_gaps(whole())
    X["proline"] = whole()["proline"]
    imputer = quick(add_indicator=True).fit(X)
    filled = imputer.transform(X)
    names = imputer.get_feature_names_out()
    assert list(filled.columns) == list(names)
    assert "missingindicator_proline" not in names
    marks = filled["missingindicator_cultivar"]
    assert marks.dtype == bool and marks.equals(X["cultivar"].isna())


@pytest.mark.filterwarnings("ignore:Columns without any value")
def test_columns_without_any_value():
    X = with_gaps(whole()).assign(nothing=np.nan)
    dropped = quick().fit(X).transform(X)
    assert "nothing" not in dropped
    imputer = quick(keep_empty_features=True).fit(X)
    filled = imputer.transform(X)
    assert filled["nothing"].isna().all()
    assert list(filled.columns) == list(imputer.get_feature_names_out())


def test_nothing_but_gaps():
    X = pd.DataFrame({"a": [None, None], "b": [np.nan, np.nan]}, dtype=object)
    with pytest.raises(ValueError, match="all of them are missing"):
        gaussian(encoder=TableEncoder()).fit(X)


def test_names_need_not_be_strings():
    X = with_gaps(whole())
    X.columns = range(X.shape[1])
    filled = quick().fit(X).transform(X)
    assert list(filled.columns) == list(X.columns)


def test_new_level_stays_but_needs_a_place_in_the_dtype():
    X = with_gaps(whole())
    imputer = quick().fit(X)
    new = X.copy()
    new.loc[0, "taste"] = "sour"
    assert imputer.transform(new)["taste"][0] == "sour"
    new["cultivar"] = new["cultivar"].cat.add_categories("fig")
    new.loc[1, "cultivar"] = "fig"
    with pytest.raises(ValueError, match="has the level 'fig', which the dtype"):
        imputer.transform(new)


def test_fractions_in_a_column_of_integers_stay():
    X = whole()
    X["proline"] = X["proline"].astype("int64")
    imputer = quick().fit(X)
    new = X.astype({"proline": "float64"})
    new.loc[0, "proline"] = 0.5
    new.loc[1, "proline"] = np.nan
    filled = imputer.transform(new)["proline"]
    assert filled[0] == 0.5 and filled.dtype == np.float64


def test_rows_of_weight_zero_do_not_count():
    X = with_gaps(whole())
    X.loc[0, "proline"] = 100_000
    weight = np.ones(len(X))
    weight[:20] = 0
    weighted, without = quick().fit(X, sample_weight=weight), quick().fit(X[20:])
    assert_frame_equal(weighted.transform(X), without.transform(X))


@pytest.mark.parametrize("name", ["min_value", "max_value", "missing_values"])
def test_parameters_for_numbers_alone(name):
    with pytest.raises(ValueError, match=f"{name}=0 is only for tables of numbers"):
        quick(**{name: 0}).fit(whole())


def test_copies_and_files(tmp_path):
    X = with_gaps(whole())
    imputer = quick().fit(X)
    filled = imputer.transform(X)
    skae.save(imputer, tmp_path / "imputer.skae")
    for other in (
        pickle.loads(pickle.dumps(imputer)),
        skae.load(tmp_path / "imputer.skae"),
    ):
        assert_frame_equal(other.transform(X), filled)


def test_onnx_is_refused(tmp_path):
    imputer = quick().fit(with_gaps(whole()))
    with pytest.raises(ValueError, match="accepts tables of mixed columns"):
        skae.to_onnx(imputer, tmp_path / "imputer.onnx")


def test_grid_search_and_score():
    X = with_gaps(whole())
    folds = KFold(2, shuffle=True, random_state=0)
    grid = {"hidden_layer_sizes": [(), (32,)]}
    search = GridSearchCV(quick(), grid, cv=folds).fit(X)
    assert search.best_score_ > 0.2


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(tables())
def test_random_tables(table):
    imputer = gaussian(encoder=TableEncoder()).fit(table)
    filled = imputer.transform(table)
    if isinstance(table, pd.DataFrame):
        assert filled.dtypes.to_dict() == table.dtypes.to_dict()
        assert not filled.isna().any(axis=None)
        for name in table.columns:
            there = table[name].notna()
            assert_series_equal(filled[name][there], table[name][there])
        return
    assert filled.schema == table.schema
    for name in table.columns:
        for new, old in zip(filled[name], table[name], strict=True):
            assert new is not None
            assert new == old or old is None


def test_noise_hides_the_columns_of_a_block_together():
    block = [0, 1, 1, 1, 2]
    noise = MissingNoise(0.5, block=block)
    generator = torch.Generator().manual_seed(0)
    hidden = noise(torch.ones(200, 5), generator).isnan()
    assert (hidden[:, 1] == hidden[:, 2]).all() and (hidden[:, 2] == hidden[:, 3]).all()
    assert hidden.any(dim=0).all() and not hidden.all(dim=1).any()
    assert (hidden[:, 0] != hidden[:, 1]).any()


def test_noise_hides_blocks_as_in_other_rows():
    gap = torch.nan
    noise = MissingNoise(block=[0, 1, 1, 2])
    noise.lend(torch.tensor([[gap, 1, 0, 1], [1, gap, gap, 1], [1, 1, 1, 1]]))
    generator = torch.Generator().manual_seed(0)
    hidden = noise(torch.ones(100, 4), generator).isnan()
    found = set(map(tuple, hidden.tolist()))
    assert found == {(True, False, False, False), (False, True, True, False)}


def test_wrong_cells_are_surprising():
    X = whole()
    imputer = quick(max_epochs=30).fit(with_gaps(X))
    rows = X.index[:150:10]
    wrong = X.copy()
    wrong.loc[rows, "cultivar"] = FRUIT[2]
    wrong.loc[rows, "alcohol"] += 4
    before, after = (
        pd.DataFrame(imputer.surprise(each), columns=X.columns) for each in (X, wrong)
    )
    for name in ("cultivar", "alcohol"):
        others = after[name].drop(rows)
        found = [after[name][row] > others.quantile(0.9) for row in rows]
        true = wrong[name][rows].astype(str) == X[name][rows].astype(str)
        assert np.mean(np.array(found)[~true]) > 0.8
    assert before.notna().all(axis=None)
    assert before.mean().between(0.01, 1.5).all()


def test_surprise_of_numbers():
    X = load_wine().data
    imputer = gaussian().fit(X)
    gaps = np.where(np.random.default_rng(0).random(X.shape) < 0.1, np.nan, X)
    surprise = imputer.surprise(gaps)
    assert (np.isnan(surprise) == np.isnan(gaps)).all()
    assert np.nanmean(surprise) < 1
    # In units of the columns, it does not depend on theirs.
    scaled = gaussian().fit(X * 1000).surprise(gaps * 1000)
    np.testing.assert_allclose(scaled, surprise, rtol=1e-2, atol=1e-3)


@pytest.mark.filterwarnings("ignore:Columns without any value")
def test_surprise_of_columns_without_any_value():
    X = with_gaps(whole()).assign(nothing=np.nan)
    surprise = quick().fit(X).surprise(X)
    assert (np.isnan(surprise) == X.isna().to_numpy()).all()


def test_values_without_a_place_in_the_dtype_are_refused_or_widen_it():
    X = whole().assign(few=np.arange(178).astype("int8"), yes=True)
    imputer = quick().fit(X)
    wide = X.assign(few=1000)
    assert imputer.transform(wide)["few"].eq(1000).all()
    with pytest.raises(ValueError, match="'yes' of X has values that the dtype of"):
        imputer.transform(X.assign(yes="False"))
    X = pl.from_pandas(X)
    imputer = quick().fit(X)
    wide = X.with_columns(few=pl.lit(1000))
    assert (imputer.transform(wide)["few"] == 1000).all()


@pytest.mark.parametrize("value", [None, np.nan, pd.NaT])
def test_dates_that_are_all_missing(value):
    X = with_gaps(whole())
    row = X.iloc[[3]].astype({"bottled": object})
    row["bottled"] = [value]
    filled = quick().fit(X).transform(row)
    assert filled["bottled"].dtype == X["bottled"].dtype
    assert filled.notna().all(axis=None)


def test_list_of_rows():
    filled = gaussian().fit_transform([["a", 1.0], ["b", 2.0], [None, 2.0]] * 9)
    assert filled[2].tolist() == ["b", 2.0]


def test_indicators_of_the_encoder_do_not_make_gaps():
    X = with_gaps(whole())
    filled = quick(encoder=TableEncoder(add_indicator=True)).fit(X).transform(X)
    assert filled.notna().all(axis=None)


def test_encoder_is_checked():
    with pytest.raises(ValueError, match="The 'categorical_features' parameter"):
        quick(encoder=TableEncoder(categorical_features="hue")).fit(whole())
