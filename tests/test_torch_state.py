"""Modes of torch that the caller has set, forks, and devices without float64."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

import numpy as np
import pytest
import torch
from estimators import BECOMES_PCA, ESTIMATORS, quick
from numpy.testing import assert_array_equal
from skorch.callbacks import Callback

import skae
from skae import AutoencoderTransformer, PretrainedClassifier, PretrainedRegressor

pytestmark = pytest.mark.filterwarnings(BECOMES_PCA)

EVERY = [*ESTIMATORS, PretrainedClassifier, PretrainedRegressor]


def make(estimator):
    if estimator in ESTIMATORS:
        return quick(estimator)
    return estimator(quick(AutoencoderTransformer), max_epochs=3, random_state=0)


def results(model, X):
    names = ("transform", "predict", "reconstruct", "score_samples")
    return [getattr(model, name)(X) for name in names if hasattr(model, name)]


@contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


MODES = {
    "float64": lambda: default_dtype(torch.float64),
    "bfloat16": lambda: default_dtype(torch.bfloat16),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "inference mode": torch.inference_mode,
    "no gradients": torch.no_grad,
    "another device": lambda: torch.device("meta"),
}


def state():
    return (
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.get_default_device(),
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("estimator", EVERY)
def test_modes_of_the_caller_change_no_bit(estimator, mode, curved):
    y = (curved[:, 0] > 0).astype(int)
    gaps = curved.copy()
    gaps[::3, 1] = gaps[1::4, 4] = np.nan
    expected = make(estimator).fit(curved, y)
    with MODES[mode]():
        before = state()
        model = make(estimator).fit(curved, y)
        inside = results(model, curved)
        assert state() == before
        with pytest.raises(ValueError, match="infinity"):
            model.transform(np.full_like(curved, np.inf))
        assert state() == before
        if model._takes_gaps:
            filled = model.transform(gaps)
            refitted = make(estimator).fit(gaps, y).transform(gaps)
            assert state() == before
    if model._takes_gaps:
        assert_array_equal(filled, expected.transform(gaps))
        assert_array_equal(refitted, make(estimator).fit(gaps, y).transform(gaps))
    for found in (inside, results(model, curved)):
        for given, right in zip(found, results(expected, curved), strict=True):
            assert_array_equal(given, right)
    if hasattr(model, "partial_fit"):
        for each in (model, expected):
            each.partial_fit(curved)
        assert_array_equal(model.transform(curved), expected.transform(curved))


def test_other_threads_may_draw_from_the_global_generator(curved):
    y = (curved[:, 0] > 0).astype(int)
    expected = make(PretrainedClassifier).fit(curved, y).predict_proba(curved)
    stop = threading.Event()

    def draw():
        while not stop.is_set():
            torch.rand(1)

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        for _ in range(3):
            found = make(PretrainedClassifier).fit(curved, y).predict_proba(curved)
            assert_array_equal(found, expected)
    finally:
        stop.set()
        thread.join()


FORK = """
import os, sys, time
import numpy as np, torch, skae

torch.set_num_threads(2)
X = np.random.RandomState(0).normal(size=(4000, 100)).astype(np.float32)
y = (X[:, 0] > 0).astype(int)
model = skae.AutoencoderTransformer(8, max_epochs=1, random_state=0)
if sys.argv[1] == "load":
    skae.save(model.fit(X), sys.argv[2])
    os.execv(sys.executable, [sys.executable, "-c", sys.argv[3], "loaded", sys.argv[2]])
elif sys.argv[1] == "loaded":
    model = skae.load(sys.argv[2])
elif sys.argv[1] == "classifier":
    model = skae.PretrainedClassifier(model, max_epochs=2, random_state=0).fit(X, y)
else:
    model.fit(X)
if sys.argv[1] != "loaded":
    model.transform(X)
child = os.fork()
if child == 0:
    model.transform(X)
    if hasattr(model, "predict"):
        model.predict(X)
    os._exit(0 if torch.get_num_threads() == 1 else 1)
# The child needs a fraction of a second: one that waits for threads waits for ever.
for _ in range(600):
    done, status = os.waitpid(child, os.WNOHANG)
    if done:
        sys.exit(os.waitstatus_to_exitcode(status))
    time.sleep(0.2)
os.kill(child, 9)
sys.exit("the child hangs")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform does not fork")
@pytest.mark.parametrize("case", ["fit", "load", "classifier"])
def test_forked_processes_answer(case, tmp_path):
    script = FORK.replace("sys.argv[3]", repr(FORK)) if case == "load" else FORK
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            script,
            case,
            str(tmp_path / "model.skae"),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "2"},
        check=False,
    )
    assert done.returncode == 0, done.stderr


class NoteThreads(Callback):
    def on_epoch_end(self, net, **kwargs):
        net.history.record("threads", torch.get_num_threads())


def threads_of_a_fit(n_threads):
    if n_threads is not None:
        torch.set_num_threads(n_threads)
    X = np.random.default_rng(0).standard_normal((600, 100))
    model = AutoencoderTransformer(
        batch_size=512, max_epochs=1, callbacks=[NoteThreads()], random_state=0
    )
    return model.fit(X).net_.history[-1, "threads"]


@pytest.mark.parametrize(
    "environment, n_threads, expected",
    [(None, None, 1), ("2", None, 2), (None, 3, 3)],
)
def test_processes_that_are_started_anew(environment, n_threads, expected, monkeypatch):
    if environment is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", environment)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(threads_of_a_fit, n_threads).result() == expected


@pytest.fixture
def no_float64_on_the_device(monkeypatch):
    """Let tensors become float64 only after `cpu()`, as Apple's devices have it."""
    real_cpu, real_double = torch.Tensor.cpu, torch.Tensor.double
    on_cpu = {}

    def cpu(self, *args, **kwargs):
        result = real_cpu(self, *args, **kwargs).view_as(self)
        on_cpu[id(result)] = result
        return result

    def double(self, *args, **kwargs):
        if id(self) not in on_cpu:
            raise TypeError("Cannot convert a MPS Tensor to float64")
        return real_double(self, *args, **kwargs)

    monkeypatch.setattr(torch.Tensor, "cpu", cpu)
    monkeypatch.setattr(torch.Tensor, "double", double)


@pytest.mark.parametrize("validation_fraction", [0.1, None])
@pytest.mark.parametrize("estimator", EVERY)
def test_devices_without_float64(
    estimator, validation_fraction, curved, no_float64_on_the_device
):
    model = make(estimator)
    if estimator in ESTIMATORS:
        model.set_params(validation_fraction=validation_fraction)
    model.fit(curved, (curved[:, 0] > 0).astype(int))
    results(model, curved)
    if hasattr(model, "partial_fit"):
        model.partial_fit(curved)
    if hasattr(model, "sample"):
        model.sample(3, random_state=0)


def test_noise_on_devices_without_float64(curved, no_float64_on_the_device):
    for noise in ("gaussian", "masking", "salt_and_pepper", "swap", "dropout"):
        quick(skae.DenoisingAutoencoder, noise=noise).fit(curved)
