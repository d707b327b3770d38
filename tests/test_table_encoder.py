"""Tables of mixed columns as matrices, and back."""

import datetime
import pickle
import sys
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from polars.testing import assert_frame_equal as assert_polars_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
)
from sklearn.utils.estimator_checks import (
    check_param_validation,
    parametrize_with_checks,
)

import skae
from skae import AutoencoderTransformer, TableEncoder


@parametrize_with_checks(
    [
        TableEncoder(),
        TableEncoder(scaler=None),
        TableEncoder(add_indicator=True),
        TableEncoder(scaler=QuantileTransformer(n_quantiles=5)),
        TableEncoder(categorical_features=[0]),
    ]
)
@pytest.mark.filterwarnings("ignore:Column 0 of X has .* levels")
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_parameters_are_all_checked():
    check_param_validation("TableEncoder", TableEncoder())


def homes():
    """A small table with a column of each common kind, most of them with gaps."""
    return pd.DataFrame(
        {
            "price": [19.99, 5.25, None, 7.5, 3.0],
            "rooms": pd.array([1, 2, None, 4, 3], dtype="Int64"),
            "floor": np.array([0, 3, 1, 2, 2], dtype="int16"),
            "heating": pd.Categorical(
                ["wood", "gas", None, "gas", "oil"],
                categories=["wood", "oil", "gas", "none"],
                ordered=True,
            ),
            "city": ["Bern", "Rome", "Rome", None, "Bern"],
            "garden": [True, False, True, True, False],
            "sold": pd.to_datetime(
                ["2020-01-05", "2021-02-01", None, "2019-12-31", "2020-02-02"]
            ).tz_localize("Europe/Paris"),
        }
    )


def in_polars():
    return pl.DataFrame(
        {
            "price": pl.Series([19.99, 5.25, None, 7.5], dtype=pl.Float32),
            "cost": pl.Series(
                [Decimal("1.25"), None, Decimal("2.00"), Decimal("3.10")]
            ),
            "rooms": pl.Series([1, 2, None, 4], dtype=pl.UInt8),
            "heating": pl.Series(
                ["wood", "gas", None, "gas"], dtype=pl.Enum(["wood", "gas", "none"])
            ),
            "kind": pl.Series(["b", "a", "a", None], dtype=pl.Categorical),
            "city": ["Bern", "Rome", None, "Rome"],
            "garden": [True, None, False, True],
            "day": [datetime.date(2020, 1, 5), None, *[datetime.date(2021, 3, 1)] * 2],
            "sold": pl.Series([5, None, 10**12 + 1, 7], dtype=pl.Int64).cast(
                pl.Datetime("ms", "Europe/Paris")
            ),
            "hours": pl.Series([1, 2, None, 4], dtype=pl.Int64).cast(pl.Duration("ns")),
            "opens": [datetime.time(8), None, datetime.time(9, 30), datetime.time(7)],
        }
    )


def back(encoder, table):
    return encoder.inverse_transform(encoder.fit_transform(table))


@pytest.mark.parametrize("add_indicator", [False, True])
@pytest.mark.parametrize("scaler", ["standard", None, RobustScaler()])
def test_round_trip(scaler, add_indicator):
    encoder = TableEncoder(scaler=scaler, add_indicator=add_indicator)
    assert_frame_equal(back(encoder, homes()), homes())
    assert_polars_equal(back(encoder, in_polars()), in_polars())


def test_round_trip_with_columns_of_arrow(tmp_path):
    table = homes().convert_dtypes(dtype_backend="pyarrow")
    table["kind"] = pd.Series([*list("abab"), None], dtype=pd.ArrowDtype(pa.string()))
    table["date"] = pd.Series([5, None, 7, 9, 4], dtype="int32[pyarrow]").astype(
        "date32[pyarrow]"
    )
    encoder = TableEncoder()
    assert_frame_equal(back(encoder, table), table)
    skae.save(encoder, tmp_path / "encoder.skae")
    twin = skae.load(tmp_path / "encoder.skae")
    assert_frame_equal(twin.inverse_transform(encoder.transform(table)), table)


def test_the_matrix():
    matrix = TableEncoder(add_indicator=True).set_output(transform="pandas")
    matrix = matrix.fit_transform(homes())
    assert list(matrix.columns) == [
        "price",
        "missingindicator_price",
        "rooms",
        "missingindicator_rooms",
        "floor",
        "heating_wood",
        "heating_oil",
        "heating_gas",
        "city_Bern",
        "city_Rome",
        "garden_False",
        "garden_True",
        "sold",
        "missingindicator_sold",
    ]
    numbers = matrix[["price", "rooms", "floor", "sold"]]
    assert_allclose(numbers.mean(), 0, atol=1e-12)
    assert_allclose(numbers.std(ddof=0), 1)
    price = homes()["price"]
    expected = (price - price.mean()) / price.std(ddof=0)
    assert_allclose(matrix["price"], expected)
    assert_array_equal(matrix["missingindicator_price"], price.isna())
    assert_array_equal(
        matrix[["heating_wood", "heating_oil", "heating_gas"]],
        [[1, 0, 0], [0, 0, 1], [np.nan] * 3, [0, 0, 1], [0, 1, 0]],
    )


def test_dates_count_the_longest_unit_that_they_are_whole_in():
    days = pd.DataFrame({"day": pd.to_datetime(["2020-01-01", "2020-01-04"])})
    matrix = TableEncoder(scaler=None).fit_transform(days)
    assert np.diff(matrix[:, 0]) == 3
    minutes = days + pd.Timedelta("5min")
    matrix = TableEncoder(scaler=None).fit_transform(minutes)
    assert np.diff(matrix[:, 0]) == 3 * 24 * 60


def test_blocks():
    encoder = TableEncoder(add_indicator=True).fit(homes()[["rooms", "city", "sold"]])
    assert encoder.blocks_ == [
        ("rooms", "number", slice(0, 1), ()),
        ("rooms", "missing", slice(1, 2), ()),
        ("city", "category", slice(2, 4), ("Bern", "Rome")),
        ("sold", "date", slice(4, 5), ()),
        ("sold", "missing", slice(5, 6), ()),
    ]
    assert encoder.blocks_[2].levels == ("Bern", "Rome")


def test_rare_levels_share_a_column():
    table = pd.DataFrame({"x": list("aaaabbbccd")})
    encoder = TableEncoder(min_frequency=3).fit(table)
    names = ["x_a", "x_b", "x_infrequent_sklearn"]
    assert list(encoder.get_feature_names_out()) == names
    assert encoder.blocks_[0].levels == ("a", "b", "c")
    found = encoder.inverse_transform(encoder.transform(table))["x"]
    assert found.tolist() == list("aaaabbbccc")
    assert_array_equal(encoder.transform(table)[-1], [0, 0, 1])
    encoder = TableEncoder(max_categories=2).fit(table)
    assert encoder.blocks_[0].levels == ("a", "b")
    # The same groups as scikit-learn's.
    assert list(TableEncoder(min_frequency=0.25).fit(table).blocks_[0].levels) == [
        *("a", "b", "c")
    ]


def test_unknown_levels_are_missing():
    encoder = TableEncoder(max_categories=2).fit(pd.DataFrame({"x": list("aaabbc")}))
    matrix = encoder.transform(pd.DataFrame({"x": ["a", "new", None, "c"]}))
    assert_array_equal(matrix, [[1, 0], [np.nan] * 2, [np.nan] * 2, [0, 1]])


def test_any_matrix_becomes_a_table_of_values_that_may_be():
    encoder = TableEncoder(add_indicator=True)
    table = homes()
    shape = encoder.fit_transform(table).shape
    rng = np.random.default_rng(0)
    made = encoder.inverse_transform(10 * rng.normal(size=(200, shape[1])))
    assert_array_equal(made.dtypes, table.dtypes)
    assert made["price"].dropna().between(3, 19.99).all()
    assert_allclose(made["price"].dropna().round(2), made["price"].dropna())
    assert set(made["heating"]) == {"wood", "oil", "gas"}
    # It is 23 o'clock in UTC.
    assert (made["sold"].dropna() == made["sold"].dropna().dt.floor("h")).all()
    # The columns of `add_indicator` say what is missing.
    assert made["rooms"].isna().any() and made["rooms"].notna().any()
    assert not made["floor"].isna().any()


def test_a_category_is_the_level_with_the_largest_value():
    encoder = TableEncoder().fit(pd.DataFrame({"x": ["a", "b", "c"]}))
    matrix = [[-3, -1, -2], [0.2, 0.3, 0.5], [np.nan, 0.1, np.nan], [np.nan] * 3]
    assert encoder.inverse_transform(matrix)["x"].tolist()[:3] == ["b", "c", "b"]
    assert encoder.inverse_transform(matrix)["x"].isna().tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize(
    "scaler", [QuantileTransformer(n_quantiles=4), PowerTransformer()]
)
def test_scalers_with_values_beyond_their_range(scaler):
    table = pd.DataFrame({"x": [1.0, 2.5, 4.0, 9.5], "y": [0, 5, 1, 2]})
    encoder = TableEncoder(scaler=scaler)
    assert_frame_equal(back(encoder, table), table)
    found = encoder.inverse_transform([[1e6, -1e6], [-1e6, 1e6]])
    assert_frame_equal(found, pd.DataFrame({"x": [9.5, 1.0], "y": [0, 5]}))


def test_gaps_where_fit_had_none():
    table = pd.DataFrame({"n": [1, 2, 3], "b": [True, False, True], "s": list("abc")})
    encoder = TableEncoder().fit(table)
    found = encoder.inverse_transform(np.full((2, 6), np.nan))
    assert found.isna().all(axis=None)
    assert found["n"].dtype == float


@pytest.mark.parametrize(
    "X",
    [
        np.array([[1.5, 2.0], [np.nan, 3.0], [2.5, 1.0]]),
        np.array([[1.5, 2.0], [np.nan, 3.0], [2.5, 1.0]], dtype=np.float32),
        np.array([[1, 200], [2, 100]], dtype=np.uint8),
        np.array([["a", "xy"], ["b", "z"]]),
        np.array([[True, False], [False, False]]),
        np.array([["2020-01-01", "2021-01-01"], ["NaT", "2020-05-05"]], dtype="M8[s]"),
        np.array([[1, 2], [3, 5]], dtype="m8[h]"),
        np.array([["2020-01", "2021-01"], ["2020-07", "2021-05"]], dtype="M8[M]"),
        np.array(
            [["a", 1.5, True], [None, np.nan, False], ["b", 3, None]], dtype=object
        ),
    ],
    ids=lambda X: str(X.dtype),
)
def test_arrays_come_back_as_arrays(X):
    found = back(TableEncoder(), X)
    assert isinstance(found, np.ndarray) and found.dtype == X.dtype
    assert_frame_equal(pd.DataFrame(found), pd.DataFrame(X))


def test_lists_and_masked_arrays():
    encoder = TableEncoder().fit([["a", 1.0], ["b", 3.0]])
    assert [block.kind for block in encoder.blocks_] == ["category", "number"]
    X = np.ma.masked_array([[1.0], [2.0], [9.0]], mask=[[0], [0], [1]])
    matrix = TableEncoder().fit_transform(X)
    assert_allclose(matrix, [[-1], [1], [np.nan]])


def test_another_library_and_other_units_in_transform():
    table = homes()[["price", "city", "garden"]]
    encoder = TableEncoder().fit(table)
    assert_array_equal(
        encoder.transform(pl.from_pandas(table)), encoder.transform(table)
    )
    dates = pd.DataFrame(
        {"d": pd.to_datetime(["2020-01-01 00:00", "2020-01-03 12:00"])}
    )
    encoder = TableEncoder().fit(dates)
    for unit in ("s", "ms", "us", "ns"):
        other = dates.astype(f"datetime64[{unit}]")
        assert_array_equal(encoder.transform(other), encoder.transform(dates))
    encoder = TableEncoder(scaler=None).fit(dates.iloc[:1].astype("datetime64[s]"))
    later = dates.iloc[:1] + pd.Timedelta(36, "h")
    assert_array_equal(encoder.transform(later), [[1.5]])


@pytest.mark.parametrize(
    "given", [["n", "s"], [0, 2], [True, False, True], np.array([0, 2])]
)
def test_categories_by_name_position_or_mask(given):
    table = pd.DataFrame({"n": [1, 2, 1], "x": [1.0, 2.0, 4.0], "s": list("aba")})
    encoder = TableEncoder(given).fit(table)
    kinds = ["category", "number", "category"]
    assert [block.kind for block in encoder.blocks_] == kinds
    assert_frame_equal(back(encoder, table), table)


def test_booleans_as_numbers():
    table = pd.DataFrame({"b": [True, False, True]})
    encoder = TableEncoder(None).fit(table)
    assert encoder.blocks_[0].kind == "number"
    assert_frame_equal(back(encoder, table), table)


def test_integer_names():
    table = pd.DataFrame({3: [1.0, 2.0], 0: ["a", "b"]})
    encoder = TableEncoder([1]).fit(table)
    assert_frame_equal(back(encoder, table), table)
    assert list(encoder.get_feature_names_out()) == ["x0", "x1_a", "x1_b"]
    with pytest.raises(ValueError, match=r"must be those of fit.*\[3, 0\]. Got \[0, 3"):
        encoder.transform(table[[0, 3]])


def test_the_index_comes_back():
    table = homes().set_index(pd.Index(list("vwxyz")))
    encoder = TableEncoder().set_output(transform="pandas")
    assert_frame_equal(back(encoder, table), table)


def test_constant_and_empty_columns():
    table = pd.DataFrame(
        {
            "one": [1.5] * 3,
            "void": [None] * 3,
            "nan": [np.nan] * 3,
            "same": ["a"] * 3,
            "nat": pd.to_datetime([None] * 3),
        }
    )
    encoder = TableEncoder()
    with pytest.warns(UserWarning, match=r"no column.*\['void', 'nan', 'nat'\]"):
        matrix = encoder.fit_transform(table)
    assert_array_equal(matrix, [[0, 1]] * 3)
    assert_frame_equal(encoder.inverse_transform(matrix), table)
    assert encoder.transform(table.assign(nan=[1.0, 2.0, 3.0])).shape == (3, 2)
    with pytest.raises(ValueError, match="no values: all of them are missing"):
        encoder.fit(table[["void", "nan"]])


def test_columns_that_are_empty_in_transform():
    for table in (homes(), in_polars()):
        encoder = TableEncoder().fit(table)
        empty = type(table)({name: [None] for name in table.columns})
        assert np.isnan(encoder.transform(empty)).all()


def test_decimals():
    table = pd.DataFrame(
        {
            "cents": [0.1 + 0.2, 1.25],
            "tens": [0.1, 2.5],
            "whole": [1.0, 4.0],
            "tiny": [1e-13, 3.3e-13],
            "any": [np.pi, np.e],
        }
    )
    encoder = TableEncoder(scaler=None).fit(table)
    found = encoder.inverse_transform([[1.2345, 1.2345, 1.2345, 2.2345e-13, 3.0001]])
    assert_array_equal(found, [[1.23, 1.2, 1.0, 2.2345e-13, 3.0001]])


def test_integers_beyond_floats_stay_in_range():
    for frame in (pd.DataFrame, pl.DataFrame):
        table = frame({"n": [-(2**63), 2**63 - 1]})
        found = back(TableEncoder(scaler=None), table)["n"]
        assert found.to_list() == [-(2**63), 2**63 - 1]


# Errors


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame({"x": [1, 2], "bad": [[1], [2]]}),
        pd.DataFrame({"x": [1, 2], "bad": [None, {"a": 1}]}),
        pl.DataFrame({"x": [1, 2], "bad": [[1], [2]]}),
        pl.DataFrame({"x": [1, 2], "bad": [{"a": 1}, {"a": 2}]}),
        pl.DataFrame(
            {"x": [1, 2], "bad": pl.Series([[1], [2]], dtype=pl.Array(int, 1))}
        ),
    ],
)
def test_lists_and_structs_are_refused(table):
    with pytest.raises(TypeError, match=r"Column 'bad' of X has .* Split the column"):
        TableEncoder().fit(table)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_text_among_numbers_is_refused(frame):
    table = frame({"age": ["31", None, "?", "x"], "city": list("abca")})
    match = r"'age' of X must hold numbers.* '\?' in row 2 .*categorical_features"
    with pytest.raises(ValueError, match=match):
        TableEncoder(["city"]).fit(table)
    numbers = frame({"age": [31, 32, 40, 41], "city": list("abca")})
    with pytest.raises(ValueError, match=match):
        TableEncoder().fit(numbers).transform(table)
    with pytest.raises(ValueError, match=r"must hold numbers.* '31' in row 0"):
        TableEncoder(["city"]).fit(table[:2])


def test_numbers_among_dates_are_refused():
    dates = pd.DataFrame({"d": pd.to_datetime(["2020-01-01", "2020-01-03"])})
    encoder = TableEncoder().fit(dates)
    with pytest.raises(
        ValueError, match=r"'d' of X held dates.* has the dtype Int64 here"
    ):
        encoder.transform(pd.DataFrame({"d": [1, 2]}))
    with pytest.raises(ValueError, match=r"of the kind datetime in fit.*duration"):
        encoder.transform(dates - dates.iloc[0])


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (["citi"], "name 'citi', which is not a column.* Did you mean 'city'"),
        ([2], "position 2. X has 2 columns, with positions from 0 to 1"),
        ([-1], "position -1"),
        ([True], "mask of 1 columns, but X has 2"),
        ("city", "must be an array-like, a str among"),
    ],
)
def test_categories_that_are_not_there(given, match):
    table = pd.DataFrame({"age": [1, 2], "city": ["a", "b"]})
    with pytest.raises(ValueError, match=match):
        TableEncoder(given).fit(table)


def test_names_for_an_array():
    with pytest.raises(ValueError, match="'city', but X is an array"):
        TableEncoder(["city"]).fit(np.ones((3, 2)))


def test_duplicated_names_are_refused():
    table = pd.DataFrame([[1, 2]], columns=["a", "a"])
    with pytest.raises(ValueError, match="several columns with the name 'a'"):
        TableEncoder().fit(table)


def test_other_inputs_that_are_refused():
    with pytest.raises(ValueError, match=r"'x' of X has infinity in 1 rows.* row 1 "):
        TableEncoder().fit(pd.DataFrame({"x": [1, np.inf]}))
    with pytest.raises(TypeError, match=r"Pass X.collect\(\)"):
        TableEncoder().fit(pl.LazyFrame({"x": [1]}))
    with pytest.raises(TypeError, match=r"pandas or polars DataFrame.*to_pandas"):
        TableEncoder().fit(pl.DataFrame({"x": [1]}).to_arrow())
    with pytest.raises(ValueError, match="at least one row and one column"):
        TableEncoder().fit(pd.DataFrame({"x": []}))
    with pytest.raises(TypeError, match="'x' of X has the dtype complex128"):
        TableEncoder().fit(pd.DataFrame({"x": [1j]}))
    sparse = pd.DataFrame({"x": pd.arrays.SparseArray([0, 1])})
    with pytest.raises(TypeError, match=r"Sparse.*X.sparse.to_dense\(\)"):
        TableEncoder().fit(sparse)
    encoder = TableEncoder().fit(homes())
    with pytest.raises(
        ValueError, match="X has 2 columns, but TableEncoder returns 11"
    ):
        encoder.inverse_transform([[1, 2]])


def test_a_scaler_that_changes_the_number_of_columns():
    scaler = FunctionTransformer(lambda X: X[:, :1], lambda X: X)
    with pytest.raises(ValueError, match="maps 2 columns to 1"):
        TableEncoder(scaler=scaler).fit(np.ones((3, 2)))


def test_nearly_unique_strings():
    names = [f"name {i}" for i in range(300)]
    match = (
        "'name' of X has 300 levels in 400 rows. 99 levels, which cover 50% of "
        "the rows, are kept; .* drop it"
    )
    with pytest.warns(UserWarning, match=match):
        TableEncoder().fit(pd.DataFrame({"name": [*names, *["name 0"] * 100]}))
    many = pd.DataFrame({"id": [*names] * 5})
    with pytest.warns(UserWarning, match="300 levels in 1500 rows. 99 .* 33%"):
        TableEncoder().fit(many)
    # Numbers may all differ, and levels of some rows each are no names.
    TableEncoder().fit(pd.DataFrame({"x": np.arange(300), "y": names[:60] * 5}))


def test_an_error_leaves_the_fitted_encoder():
    encoder = TableEncoder().fit(homes())
    expected = encoder.transform(homes())
    with pytest.raises(ValueError, match="infinity"):
        encoder.fit(pd.DataFrame({"x": [np.inf]}))
    assert_array_equal(encoder.transform(homes()), expected)


def test_without_narwhals(monkeypatch):
    monkeypatch.setitem(sys.modules, "narwhals.stable.v2", None)
    with pytest.raises(ImportError, match=r"pip install 'narwhals>=2.0.1'"):
        TableEncoder().fit(homes())


# With other parts of scikit-learn and skae


@pytest.mark.parametrize("table", [homes(), in_polars()], ids=["pandas", "polars"])
@pytest.mark.parametrize("copied", ["pickle", "file", "clone"])
def test_copies(table, copied, tmp_path):
    encoder = TableEncoder(scaler=RobustScaler(), add_indicator=True).fit(table)
    if copied == "pickle":
        twin = pickle.loads(pickle.dumps(encoder))
    elif copied == "file":
        skae.save(encoder, tmp_path / "encoder.skae")
        twin = skae.load(tmp_path / "encoder.skae")
    else:
        twin = clone(encoder).fit(table)
    matrix = encoder.transform(table)
    assert_array_equal(twin.transform(table), matrix)
    assert twin.blocks_ == encoder.blocks_
    same = (
        assert_frame_equal if isinstance(table, pd.DataFrame) else assert_polars_equal
    )
    same(twin.inverse_transform(matrix), table)


def test_levels_that_a_file_cannot_hold(tmp_path):
    table = pd.DataFrame({"age": pd.cut([1, 20, 40], [0, 18, 65])})
    encoder = TableEncoder().fit(table)
    assert_frame_equal(back(encoder, table), table)
    with pytest.raises(TypeError, match="column 'age' has a dtype or levels"):
        skae.save(encoder, tmp_path / "encoder.skae")


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_set_output(library):
    table = homes() if library == "pandas" else in_polars()
    encoder = TableEncoder().set_output(transform=library)
    matrix = encoder.fit_transform(table)
    assert type(matrix) is type(table)
    assert list(matrix.columns) == list(encoder.get_feature_names_out())
    found = encoder.inverse_transform(matrix)
    assert type(found) is type(table)
    assert list(found.columns) == list(table.columns)


def test_a_pipeline_with_an_autoencoder(tmp_path):
    table = pd.concat([homes()] * 20, ignore_index=True)
    model = make_pipeline(
        TableEncoder(), AutoencoderTransformer(2, max_epochs=2, random_state=0)
    )
    grid = {"tableencoder__max_categories": [2, None]}
    search = GridSearchCV(model, grid, cv=2).fit(table)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    model = search.best_estimator_
    found = model.inverse_transform(model.transform(table))
    assert_array_equal(found.dtypes, table.dtypes)
    skae.save(model, tmp_path / "model.skae")
    twin = skae.load(tmp_path / "model.skae")
    assert_array_equal(twin.transform(table), model.transform(table))


# Random tables

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
FLOATS = st.floats(-1e6, 1e6)
SECONDS = st.integers(-(10**9), 2 * 10**9)


@st.composite
def column(draw, library, n_rows):
    """A column of any dtype with gaps: what is passed to the library for a series."""
    kinds = {
        "float": (FLOATS, ["float64", "Float64"], [pl.Float64]),
        "integer": (
            st.integers(-(2**31), 2**31 - 1),
            ["Int64", "Int32", "float64", "int64[pyarrow]"],
            [pl.Int32, pl.Int64],
        ),
        "boolean": (st.booleans(), ["boolean", "object"], [pl.Boolean]),
        "text": (TEXT, ["str", "string", "object", "category"], [pl.String]),
        "level": (
            st.sampled_from("abc"),
            [pd.CategoricalDtype(list("cabd"), ordered=True), "category"],
            [pl.Enum(list("cabd")), pl.Categorical],
        ),
        "time": (
            SECONDS,
            ["datetime64[s]", "datetime64[ns, Asia/Tokyo]", "timedelta64[us]"],
            [pl.Datetime("us", "Asia/Tokyo"), pl.Datetime("ns"), pl.Duration("ms")],
        ),
    }
    kind = draw(st.sampled_from(sorted(kinds)))
    values, of_pandas, of_polars = kinds[kind]
    dtype = draw(st.sampled_from(of_pandas if library == "pandas" else of_polars))
    cells = draw(
        st.lists(st.none() | values, min_size=n_rows, max_size=n_rows).filter(
            lambda cells: any(cell is not None for cell in cells)
        )
    )
    if library == "polars":
        if kind == "time":
            ticks = {"us": 10**6, "ns": 10**9, "ms": 10**3}[dtype.time_unit]
            cells = [None if cell is None else cell * ticks for cell in cells]
            return pl.Series(cells, dtype=pl.Int64).cast(dtype)
        return pl.Series(cells, dtype=dtype)
    if kind == "time":
        letter = "m" if dtype.startswith("timedelta") else "M"
        whole = ["NaT" if cell is None else cell for cell in cells]
        series = pd.Series(np.array(whole, dtype=f"{letter}8[s]"))
        return (
            series.dt.tz_localize("UTC").astype(dtype)
            if "," in dtype
            else series.astype(dtype)
        )
    return pd.Series(cells, dtype=dtype)


@st.composite
def tables(draw):
    library = draw(st.sampled_from(["pandas", "polars"]))
    n_rows = draw(st.integers(1, 12))
    names = draw(st.lists(TEXT, min_size=1, max_size=5, unique=True))
    columns = {name: draw(column(library, n_rows)) for name in names}
    return (pd if library == "pandas" else pl).DataFrame(columns)


@settings(deadline=None, max_examples=150)
@given(tables(), st.booleans(), st.sampled_from(["standard", None]))
def test_random_tables_come_back(table, add_indicator, scaler):
    encoder = TableEncoder(add_indicator=add_indicator, scaler=scaler)
    found = back(encoder, table)
    if isinstance(table, pd.DataFrame):
        assert_frame_equal(found, table, rtol=1e-9, atol=1e-6)
        return
    assert found.schema == table.schema
    for name in table.columns:
        if table[name].dtype == pl.Float64:
            values, expected = found[name].to_numpy(), table[name].to_numpy()
            assert_allclose(values, expected, rtol=1e-9, atol=1e-6)
        else:
            assert found[name].to_list() == table[name].to_list()


@settings(deadline=None, max_examples=100)
@given(tables(), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_random_matrices_become_tables_of_the_same_schema(table, most, seed):
    encoder = TableEncoder(max_categories=most, add_indicator=True)
    width = encoder.fit_transform(table).shape[1]
    matrix = np.random.default_rng(seed).normal(size=(20, width))
    found = encoder.inverse_transform(matrix)
    assert list(found.columns) == list(table.columns)
    for name in table.columns:
        values, seen = found[name], table[name]
        assert values.dtype == seen.dtype
        observed, made = set(seen.to_list()), set(values.to_list())
        if isinstance(table, pd.DataFrame):
            observed, made = set(seen.dropna()), set(values.dropna())
        observed, made = observed - {None}, made - {None}
        block = next(block for block in encoder.blocks_ if block.name == name)
        if block.kind == "category":
            assert made <= observed
        elif made:
            assert min(observed) <= min(made) and max(made) <= max(observed)
