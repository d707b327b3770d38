"""Grids and tables on a cluster of Dask: two worker processes on this machine."""

import itertools
import os
import signal

import joblib
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from skae import AutoencoderTransformer

pytest.importorskip("dask_ml", reason="needs the extra 'dask', in an environment apart")
import dask.array as da
from dask_ml.wrappers import Incremental, ParallelPostFit
from distributed import Client, LocalCluster
from distributed.comm.tcp import TCP

MEMORY = 900 * 2**20


@pytest.fixture(scope="module")
def client():
    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            memory_limit=MEMORY,
            dashboard_address=None,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


class NoteFit(Callback):
    """Leaves a file in a folder for each fit, and once ends the process in one."""

    def __init__(self, folder, ends_after):
        self.folder = folder
        self.ends_after = ends_after

    def on_train_begin(self, net, **kwargs):
        (self.folder / f"fit {os.urandom(8).hex()}").touch()

    def on_epoch_end(self, net, **kwargs):
        killed = self.folder / "killed"
        if n_fits(self.folder) >= self.ends_after and not killed.exists():
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)


def n_fits(folder):
    return len(list(folder.glob("fit *")))


def search(cv=3, callbacks=None):
    """A grid of 8 candidates and 3 folds, which are 24 fits, over a pipeline."""
    autoencoder = AutoencoderTransformer(
        max_epochs=3, callbacks=callbacks, random_state=0
    )
    pipeline = make_pipeline(StandardScaler(), autoencoder, LogisticRegression())
    grid = {
        "autoencodertransformer__n_components": [2, 8],
        "autoencodertransformer__activation": ["gelu", "relu"],
        "autoencodertransformer__lr": [1e-3, 3e-3],
    }
    return GridSearchCV(pipeline, grid, cv=cv, error_score="raise")


def assert_same_search(found, expected):
    for name, scores in expected.cv_results_.items():
        if name.endswith("test_score"):
            assert_array_equal(found.cv_results_[name], scores)
    for ours, theirs in zip(
        found.best_estimator_[1].encoder_weights_,
        expected.best_estimator_[1].encoder_weights_,
        strict=True,
    ):
        assert_array_equal(ours, theirs)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    place = rng.uniform(-2, 2, size=(600, 2))
    X = np.sin(place @ rng.normal(size=(2, 200))) + 0.05 * rng.normal(size=(600, 200))
    return X, (place[:, 0] > 0).astype(int)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Use one thread here, too, as workers do: others would round differently."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def local(rows):
    return search().fit(*rows)


def test_grid_search_equals_the_local_one(client, rows, local):
    with joblib.parallel_config("dask"):
        found = search().fit(*rows)
    assert_same_search(found, local)


def test_rows_travel_once(client, rows, monkeypatch):
    sent = []
    write = TCP.write

    async def counting(self, *args, **kwargs):
        n_bytes = await write(self, *args, **kwargs)
        sent.append(n_bytes)
        return n_bytes

    # Client, scheduler and workers send by it; the first two live in this process.
    monkeypatch.setattr(TCP, "write", counting)
    X, y = rows
    with joblib.parallel_config("dask"):
        search().fit(X, y)
    # To the scheduler, and from there to a worker, which gives the other one a copy.
    assert 2 * X.nbytes <= sum(sent) < 4 * X.nbytes


def threads_in_fit(pipeline, X, y=None):
    return max(pipeline[-1].net_.history[:, "n_threads"])


class NoteThreads(Callback):
    def on_epoch_begin(self, net, **kwargs):
        net.history.record("n_threads", torch.get_num_threads())


def test_workers_do_not_oversubscribe(client):
    # Wide enough that a fit takes as many threads as torch is set to.
    X = np.random.default_rng(0).normal(size=(2000, 50))
    autoencoder = AutoencoderTransformer(
        hidden_layer_sizes=(1000,),
        batch_size=2000,
        max_epochs=1,
        callbacks=[NoteThreads()],
        random_state=0,
    )
    grid = GridSearchCV(
        make_pipeline(autoencoder),
        {"autoencodertransformer__n_components": [2, 3]},
        scoring=threads_in_fit,
        cv=2,
        refit=False,
    )
    with joblib.parallel_config("dask"):
        grid.fit(X)
    assert_array_equal(grid.cv_results_["mean_test_score"], 1)


def test_killed_worker_costs_a_retry(client, rows, local, tmp_path):
    before = set(client.run(os.getpid).values())
    # What only the worker that dies has would be lost: all of them get everything, and
    # the manager of memory does not take copies away again.
    client.amm.stop()
    folds = list(StratifiedKFold(3).split(*rows))
    everything = [*rows, *itertools.chain(*folds)]
    with joblib.parallel_config("dask", scatter=everything):
        found = search(folds, [NoteFit(tmp_path, ends_after=12)]).fit(*rows)
    assert_same_search(found, local)
    client.wait_for_workers(2)
    assert len(before & set(client.run(os.getpid).values())) == 1
    assert 24 < n_fits(tmp_path) - 1 < 36  # without the last fit, of all rows


def block_of_rows(block_info=None):
    """Rows near a surface; block by block other ones."""
    (start, stop), (_, n_features) = block_info[None]["array-location"]
    rng = np.random.default_rng(start)
    directions = np.random.default_rng(0).standard_normal((2, n_features), np.float32)
    place = 4 * rng.random((stop - start, 2), np.float32) - 2
    return np.sin(place @ directions)


def dask_rows(n_blocks, n_rows, n_features):
    return da.map_blocks(
        block_of_rows,
        chunks=((n_rows,) * n_blocks, (n_features,)),
        dtype=np.float32,
        meta=np.zeros((0, 0), dtype=np.float32),
    )


def test_incremental_is_partial_fit_over_the_blocks(client):
    X = dask_rows(6, 300, 20)
    model = Incremental(
        AutoencoderTransformer(2, random_state=0), shuffle_blocks=False
    ).fit(X)
    expected = AutoencoderTransformer(2, random_state=0)
    for i in range(6):
        expected.partial_fit(X.blocks[i].compute())
    codes = model.transform(X)
    assert isinstance(codes, da.Array) and codes.dtype == np.float32
    assert_allclose(model.estimator_.loss_curve_, expected.loss_curve_, rtol=1e-5)
    assert_allclose(codes.compute(), expected.transform(X.compute()), atol=1e-5)


def test_parallel_post_fit_transforms_block_by_block(client):
    X = dask_rows(6, 300, 20)
    model = ParallelPostFit(AutoencoderTransformer(2, max_epochs=3, random_state=0))
    model.fit(X.blocks[0].compute())
    codes = model.transform(X)
    assert codes.numblocks == (6, 1)
    assert_allclose(codes.compute(), model.estimator.transform(X.compute()), atol=1e-5)


def test_blocks_that_exceed_the_memory_limit(client):
    X = dask_rows(25, 40_000, 250)
    assert X.nbytes > MEMORY
    before = client.run(os.getpid)
    autoencoder = AutoencoderTransformer(
        2, hidden_layer_sizes=(16,), batch_size=4000, random_state=0
    )
    model = Incremental(autoencoder, random_state=0).fit(X)
    codes = model.transform(X)
    assert codes.mean(axis=0).compute().shape == (2,)
    assert client.run(os.getpid) == before  # none was killed for its memory
    assert model.estimator_.score(X.blocks[3].compute()) > 0.65
