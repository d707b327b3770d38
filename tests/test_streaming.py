"""Tables that are read block by block: large ones, in files, sparse ones."""

import itertools
import os
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from estimators import BECOMES_PCA, OF_NUMBERS, quick
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from torch.utils.data import DataLoader

from skae import (
    AutoencoderTransformer,
    ConvAutoencoder,
    DenoisingAutoencoder,
    PretrainedClassifier,
    SparseAutoencoder,
    StackedAEPretrainer,
    VariationalAutoencoder,
)
from skae.training import LargeTable, Rows, StreamedRows, _streaming, mapped
from skae.training._batches import StreamedBatches

every_estimator = pytest.mark.parametrize("estimator", OF_NUMBERS)


@pytest.fixture
def all_is_large(monkeypatch):
    """Let small tables be read block by block, in many blocks."""
    monkeypatch.setattr(_streaming, "DENSE_BYTES", 0)
    monkeypatch.setattr(_streaming, "SPARSE_BYTES", 0)
    monkeypatch.setattr(_streaming, "BLOCK_BYTES", 2**13)


def in_file(X, path):
    """Write an array and map it, read-only."""
    np.save(path / "X.npy", X)
    return np.load(path / "X.npy", mmap_mode="r")


def settings(**params):
    """Give parameters of a fit in which nothing but the way of reading can differ."""
    return {
        "init": "random",
        "validation_fraction": None,
        "net_params": {"iterator_train__shuffle": False},
        **params,
    }


@every_estimator
@pytest.mark.parametrize("kind", ["array", "file", "float64", "csr", "csc", "frame"])
def test_reading_block_by_block_changes_nothing(
    estimator, kind, curved, tmp_path, monkeypatch
):
    X = curved.astype(np.float32)
    expected = quick(estimator, **settings()).fit(X)
    codes = expected.transform(X)
    table = {
        "array": lambda: np.asfortranarray(X),
        "file": lambda: in_file(X, tmp_path),
        "float64": lambda: X.astype(np.float64),
        "csr": lambda: sp.csr_matrix(X),
        "csc": lambda: sp.csc_array(X),
        "frame": lambda: pd.DataFrame(X),
    }[kind]()
    for name in ("DENSE_BYTES", "SPARSE_BYTES"):
        monkeypatch.setattr(_streaming, name, 0)
    monkeypatch.setattr(_streaming, "BLOCK_BYTES", 2**13)
    model = quick(estimator, **settings()).fit(table)
    close = {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(model.transform(table), codes, **close)
    np.testing.assert_allclose(model.loss_curve_, expected.loss_curve_, rtol=1e-5)
    np.testing.assert_allclose(
        model.reconstruct(table), expected.reconstruct(X), **close
    )
    for per_feature in (False, True):
        np.testing.assert_allclose(
            model.reconstruction_error(table, per_feature=per_feature),
            expected.reconstruction_error(X, per_feature=per_feature),
            rtol=1e-3,
            atol=1e-6,
        )
    np.testing.assert_allclose(
        model.score_samples(table), expected.score_samples(X), rtol=1e-3, atol=1e-6
    )
    assert model.score(table) == pytest.approx(expected.score(X), abs=1e-5)


@every_estimator
def test_default_settings_are_as_good_block_by_block(
    estimator, digits, tmp_path, all_is_large
):
    X, X_test = digits
    params = {"n_components": 8, "max_epochs": 25, "random_state": 0}
    if estimator is StackedAEPretrainer:
        params |= {"max_epochs": 5, "fine_tune_epochs": 25}
    if estimator is SparseAutoencoder:
        params |= {"n_components": 80}  # eight of them are active
    X = X.astype(np.float32)
    streamed = estimator(**params).fit(in_file(X, tmp_path))
    again = estimator(**params).fit(X)
    np.testing.assert_array_equal(streamed.transform(X), again.transform(X))
    pca = PCA(8).fit(X)
    pca_error = np.mean((X_test - pca.inverse_transform(pca.transform(X_test))) ** 2)
    error = streamed.reconstruction_error(X_test).mean()
    assert error < 0.8 * pca_error
    assert streamed.best_epoch_ > 0


def test_sparse_is_dense_to_the_bit_where_a_copy_is_small(curved):
    X = curved * (curved > 0)
    dense, sparse = (
        quick(AutoencoderTransformer).fit(each) for each in (X, sp.csr_array(X))
    )
    np.testing.assert_array_equal(dense.transform(X), sparse.transform(sp.csc_array(X)))
    assert dense.score(X) == sparse.score(sp.csr_matrix(X))


def test_text_starts_as_pca_and_improves(all_is_large):
    words = [f"word{i}" for i in range(300)]
    rng = np.random.RandomState(0)
    topics = rng.dirichlet(np.full(300, 0.02), size=5)
    texts = [
        " ".join(rng.choice(words, size=30, p=topics[rng.randint(5)]))
        for _ in range(600)
    ]
    X = TfidfVectorizer().fit_transform(texts)
    pca = PCA(4, svd_solver="arpack", random_state=0).fit(X.toarray())
    start = AutoencoderTransformer(4, max_epochs=1, lr=1e-12, random_state=0)
    R2 = start.fit(X).score(X)
    assert pytest.approx(pca.explained_variance_ratio_.sum(), abs=1e-3) == R2
    assert (
        AutoencoderTransformer(4, max_epochs=20, random_state=0).fit(X).score(X) >= R2
    )
    assert make_pipeline(start, PCA(2)).fit_transform(X).shape == (600, 2)


def test_sample_weight_of_sparse_rows(curved, all_is_large):
    X = sp.csr_array(curved)
    weight = np.arange(len(curved)) % 3
    heavy = quick(AutoencoderTransformer, lr=1e-12).fit(X, sample_weight=weight)
    few = quick(AutoencoderTransformer, lr=1e-12).fit(
        sp.csr_array(np.repeat(curved, weight, axis=0))
    )
    mean = np.average(curved, axis=0, weights=weight)
    np.testing.assert_allclose(few.module_.mean, mean, atol=0.1)
    np.testing.assert_allclose(heavy.module_.mean, mean, atol=0.1)


def with_duplicates(X):
    """Store each entry as two that sum up to it, and backwards."""
    table = sp.csr_array(
        (X.data.repeat(2), X.indices.repeat(2), 2 * X.indptr), shape=X.shape
    )
    table.data[::2] = 0.25 * table.data[::2]
    table.data[1::2] = 0.75 * table.data[1::2]
    for start, stop in itertools.pairwise(table.indptr):
        for part in (table.indices, table.data):
            part[start:stop] = part[start:stop][::-1].copy()
    return table


@pytest.mark.parametrize("large", [True, False])
@pytest.mark.parametrize(
    "form", ["csr", "csc", "coo", "float32", "int16", "int64 index"]
)
def test_entries_that_are_stored_in_parts_are_summed(form, large, request):
    if large:
        request.getfixturevalue("all_is_large")
    rng = np.random.RandomState(0)
    X = sp.csr_array(rng.randint(1, 9, (200, 30)) * (rng.rand(200, 30) < 0.2) * 4.0)
    whole = quick(AutoencoderTransformer).fit(X)
    parts = with_duplicates(X)
    if form == "int64 index":
        parts.indices, parts.indptr = (
            each.astype(np.int64) for each in (parts.indices, parts.indptr)
        )
    elif form[0] == "c":
        parts = getattr(sp, f"{form}_array")(parts)
    else:
        parts = parts.astype(form)
    before = parts.copy()
    model = quick(AutoencoderTransformer).fit(parts)
    assert model.score(parts) == pytest.approx(whole.score(X), abs=1e-5)
    for method in ("transform", "reconstruct", "score_samples"):
        expected = getattr(whole, method)(X)
        np.testing.assert_allclose(
            getattr(model, method)(parts), expected, rtol=1e-3, atol=1e-3
        )
    assert parts.nnz == before.nnz
    np.testing.assert_array_equal(parts.data, before.data)


@pytest.mark.parametrize("kind", ["array", "sparse"])
@pytest.mark.parametrize("n_rows", [1, 2, 97, 400])
def test_a_pass_gives_each_row_once(kind, n_rows, curved, all_is_large):
    X = curved[:n_rows].astype(np.float32)
    table = LargeTable(sp.csr_array(X) if kind == "sparse" else X)
    weight = torch.arange(n_rows)
    rows = Rows(StreamedRows(table, "cpu"), weight)
    generator = torch.Generator().manual_seed(0)
    passes = []
    for _ in range(2):
        batches = list(StreamedBatches(rows, 16, shuffle=True, generator=generator))
        assert all(len(x) > 1 for x, _ in batches) or n_rows == 1
        for x, numbers in batches:
            np.testing.assert_array_equal(x, X[numbers.numpy()])
        passes.append(torch.cat([numbers for _, numbers in batches]))
        np.testing.assert_array_equal(passes[-1].sort().values, weight)
    assert n_rows < 97 or (passes[0] != passes[1]).any()
    plain = StreamedBatches(rows, 16)
    np.testing.assert_array_equal(torch.cat([x for x, _ in plain]), X)


def test_a_file_is_never_written_to(curved, tmp_path, all_is_large):
    X = in_file(curved, tmp_path)
    before = (tmp_path / "X.npy").read_bytes()
    model = quick(DenoisingAutoencoder).fit(X)
    model.partial_fit(X)
    model.reconstruct(X)
    assert (tmp_path / "X.npy").read_bytes() == before
    assert not X.flags.writeable


def test_a_file_that_is_cut_short(curved, tmp_path, all_is_large):
    X = in_file(curved, tmp_path)
    model = quick(AutoencoderTransformer).fit(X)
    table = LargeTable(X)
    os.truncate(tmp_path / "X.npy", 500)
    with pytest.raises(ValueError, match=r"which had 19,328 bytes and now has 500"):
        table[:3]
    assert model.transform(curved).shape == (400, 2)


@pytest.mark.parametrize("bad, what", [(np.nan, "NaN"), (-np.inf, "infinity")])
@pytest.mark.parametrize("kind", ["file", "sparse", "small"])
def test_the_row_of_a_missing_value_is_named(bad, what, kind, tmp_path, monkeypatch):
    X = np.ones((1000, 7), dtype=np.float32)
    X[901, 3] = bad
    if kind != "small":
        for name in ("DENSE_BYTES", "SPARSE_BYTES"):
            monkeypatch.setattr(_streaming, name, 0)
        monkeypatch.setattr(_streaming, "BLOCK_BYTES", 2**10)
        X = in_file(X, tmp_path) if kind == "file" else sp.csr_array(X)
    # The others take NaN.
    estimator = ConvAutoencoder if what == "NaN" else AutoencoderTransformer
    with pytest.raises(ValueError, match=rf"X contains {what}.*row 901, column 3"):
        estimator().fit(X)


def test_codes_are_written_into_a_file(curved, tmp_path, all_is_large):
    model = quick(AutoencoderTransformer).fit(curved)
    out = np.lib.format.open_memmap(
        tmp_path / "Z.npy", mode="w+", dtype=np.float32, shape=(400, 2)
    )
    assert model.transform(curved, out=out) is out
    np.testing.assert_allclose(np.load(tmp_path / "Z.npy"), model.transform(curved))


@pytest.mark.parametrize(
    "out", [np.empty((400, 3)), np.empty((400, 2), dtype=int), [[0, 0]] * 400]
)
def test_no_room_for_codes(out, curved):
    model = quick(AutoencoderTransformer).fit(curved)
    with pytest.raises(ValueError, match=r"out must be .* of shape \(400, 2\).*Got"):
        model.transform(curved, out=out)


@every_estimator
@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csr_array])
def test_batches_of_a_data_loader(estimator, kind, curved, all_is_large):
    X, weight = curved.astype(np.float32), np.linspace(1, 2, 400)
    for options in (
        {"iterator_train": DataLoader},
        {"iterator_train__drop_last": True},
    ):
        dense, sparse = (
            quick(estimator, init="random", net_params=options, batch_size=50)
            .fit(each, sample_weight=weight)
            .loss_curve_
            for each in (X, kind(X))
        )
        np.testing.assert_allclose(sparse, dense, rtol=1e-2)


def test_sparse_rows_from_a_worker(curved, all_is_large):
    options = {"iterator_train__num_workers": 1, "iterator_train__shuffle": False}
    codes = [
        quick(AutoencoderTransformer, net_params=options, max_epochs=1)
        .fit(kind(curved.astype(np.float32)))
        .transform(curved)
        for kind in (np.asarray, sp.csr_matrix)
    ]
    np.testing.assert_allclose(*codes, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("estimator", [AutoencoderTransformer, VariationalAutoencoder])
def test_codes_in_place_of_the_rows(estimator, tmp_path):
    X = np.random.RandomState(0).normal(size=(300, 4))
    model = quick(estimator, n_components=4).fit(X)
    codes = model.transform(X)
    rows = X.copy()
    assert model.transform(rows, out=rows) is rows
    np.testing.assert_array_equal(rows, codes)
    beside = np.hstack([X, X])  # in turn in memory, but apart
    model.transform(beside[:, :4], out=beside[:, 4:])
    np.testing.assert_array_equal(beside[:, 4:], codes)
    in_file(np.vstack([X, X]), tmp_path)
    path = next(tmp_path.iterdir())
    once, again = np.load(path, mmap_mode="r"), np.load(path, mmap_mode="r+")
    model.transform(once[:300], out=again[300:])
    np.testing.assert_array_equal(again[300:], codes)


def overlapping(kind, X, tmp_path):
    """Give rows, and an array that overlaps them in another place, or itself."""
    n_rows = len(X)
    if kind == "itself":
        return X, np.lib.stride_tricks.as_strided(np.zeros(2 * n_rows), X.shape, (8, 8))
    longer = np.vstack([X, X[:7]])
    if kind == "file":
        in_file(longer, tmp_path)
        path = next(tmp_path.iterdir())
        maps = [np.load(path, mmap_mode="r+") for _ in range(2)]
        return maps[0][:n_rows], maps[1][7:]
    rows = longer[:n_rows]
    return torch.from_numpy(rows) if kind == "tensor" else rows, longer[7:]


@pytest.mark.parametrize("options", [{}, {"return_std": True}])
@pytest.mark.parametrize("kind", ["memory", "tensor", "file", "itself"])
def test_no_codes_over_rows_to_come(kind, options, tmp_path):
    X = np.random.RandomState(0).normal(size=(300, 4))
    model = quick(VariationalAutoencoder, n_components=4).fit(X)
    rows, out = overlapping(kind, X, tmp_path)
    with pytest.raises(ValueError, match=r"out (overlaps X|share memory).*Pass a"):
        model.transform(rows, out=out, **options)


def test_integers_in_a_file_are_converted_when_read(tmp_path, all_is_large):
    X = np.random.RandomState(0).randint(0, 255, size=(500, 20)).astype(np.uint8)
    model = quick(AutoencoderTransformer, n_components=20).fit(in_file(X, tmp_path))
    assert model.transform(X).dtype == np.float64
    assert model.score(X) > 0.99


def test_activations_go_into_a_file_where_they_are_many(curved, all_is_large):
    X = curved.astype(np.float32)
    rows = StreamedRows(LargeTable(X), "cpu")
    doubled = mapped(lambda x: 2 * x, rows, 64)
    assert isinstance(doubled, StreamedRows)
    np.testing.assert_array_equal(doubled[10:20], 2 * X[10:20])
    assert mapped(lambda x: 2 * x, torch.as_tensor(X), 64).shape == X.shape


def test_classifier_takes_sparse_rows(digits):
    X = digits[0][:200]
    y = np.arange(200) % 3
    y[50:] = -1
    pretrainer = quick(AutoencoderTransformer)
    dense, sparse = (
        PretrainedClassifier(pretrainer, max_epochs=2, random_state=0).fit(each, y)
        for each in (X, sp.csr_array(X))
    )
    np.testing.assert_array_equal(
        dense.predict_proba(X), sparse.predict_proba(sp.csr_array(X))
    )


def test_partial_fit_on_chunks_is_as_good_as_fit(digits):
    X, X_test = digits
    order = np.random.RandomState(0).permutation(np.tile(np.arange(len(X)), 20))
    chunked = AutoencoderTransformer(8, random_state=0, batch_size=50)
    for chunk in np.array_split(order, 20):
        chunked.partial_fit(sp.csr_array(X[chunk]))
    whole = AutoencoderTransformer(
        8,
        batch_size=50,
        max_epochs=20,
        lr_schedule=None,
        validation_fraction=None,
        random_state=0,
    ).fit(X)
    errors = [m.reconstruction_error(X_test).mean() for m in (chunked, whole)]
    assert errors[0] < 1.1 * errors[1]


def test_memory_stays_small_beside_the_table(tmp_path):
    # In a process of its own: the most that it had counts.
    code = """
        import sys
        import numpy as np
        from skae import AutoencoderTransformer
        from skae.training import _streaming
        for name in ("DENSE_BYTES", "SAMPLE_BYTES", "BLOCK_BYTES"):
            setattr(_streaming, name, 2**22)
        X = np.load(sys.argv[1], mmap_mode="r")
        AutoencoderTransformer(4, max_epochs=1).fit(X[:2000])  # warm up
        def anonymous():
            with open("/proc/self/status") as status:
                lines = dict(line.split(":", 1) for line in status)
            return int(lines["RssAnon"].split()[0]) * 1024
        import threading, time
        before, most, done = anonymous(), 0, False
        def watch():
            global most
            while not done:
                most = max(most, anonymous())
                time.sleep(0.005)
        watcher = threading.Thread(target=watch)
        watcher.start()
        model = AutoencoderTransformer(4, max_epochs=1, batch_size=512).fit(X)
        model.transform(X)
        model.score(X)
        done = True
        watcher.join()
        print(most - before)
    """
    if not os.path.exists("/proc/self/status"):
        pytest.skip("anonymous memory is told by Linux alone")
    X = np.lib.format.open_memmap(
        tmp_path / "X.npy", mode="w+", dtype=np.float32, shape=(120_000, 512)
    )
    rng = np.random.default_rng(0)
    for start in range(0, len(X), 10_000):
        rng.standard_normal(out=X[start : start + 10_000], dtype=np.float32)
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "X.npy")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(run.stdout) < X.nbytes / 2


@every_estimator
@pytest.mark.filterwarnings(BECOMES_PCA)
def test_too_few_distinct_rows_of_a_large_table(estimator, all_is_large):
    number = np.random.RandomState(0).randint(20, size=600)
    model = quick(estimator).fit(sp.csr_matrix(np.eye(20)[number]))
    assert model.n_iter_ == 0 and model.best_epoch_ == 0
    assert np.isfinite(model.best_loss_)
