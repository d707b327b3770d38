"""Training in several processes: each takes its share of every batch."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from skorch.callbacks import Callback

import skae

if not torch.distributed.is_available():
    pytest.skip("this build of torch has no torch.distributed", allow_module_level=True)

TOGETHER = {"share_batches": True}


def fits(net_params=None):
    """Fit estimators, with results that are equal to rounding, and with similar ones.

    The rows make a last batch of one row, and shares that differ. A step of SGD, and
    the first step of L-BFGS, is the gradient times a number, so a rounding of the
    gradient stays one. Other optimizers can turn it into a large difference.
    """
    rng = np.random.RandomState(0)
    place = rng.uniform(-2, 2, size=(321, 1))
    X = np.hstack([np.sin(place * f) for f in (1, 2, 3)] * 2)
    X += 0.05 * rng.normal(size=X.shape)
    weight = rng.uniform(0.5, 2, size=len(X))
    common = {"net_params": net_params, "random_state": 0}
    settings = {"optimizer": "sgd", "max_epochs": 5, "batch_size": 32, **common}
    one_step = {**(net_params or {}), "optimizer__max_iter": 1}
    plain = skae.AutoencoderTransformer
    lbfgs = plain(2, optimizer="lbfgs", init="random", max_epochs=1, random_state=0)
    exact = {
        "default": plain(2, **settings).fit(X),
        "weights": plain(2, **settings).fit(X, sample_weight=weight),
        "no validation": plain(2, validation_fraction=None, **settings).fit(X),
        "one row": plain(2, validation_fraction=None, **settings).fit(X[:33]),
        "random": plain(2, init="random", early_stopping=True, **settings).fit(X),
        "lbfgs": clone(lbfgs).set_params(net_params=one_step).fit(X),
        "partial": plain(2, **settings).partial_fit(X).partial_fit(X),
        "denoising": skae.DenoisingAutoencoder(2, noise="swap", **settings).fit(X),
        "stacked": skae.StackedAEPretrainer(2, fine_tune_epochs=3, **settings).fit(X),
    }
    settings |= {"optimizer": "adam", "max_epochs": 20, "init": "random"}
    near = {
        "adam": plain(2, **settings).fit(X),
        "lbfgs, many steps": clone(lbfgs).set_params(net_params=net_params).fit(X),
        "variational": skae.VariationalAutoencoder(2, **settings).fit(X),
    }
    return exact, near


class NoteShares(Callback):
    """Notes how many rows of each batch this process trains on."""

    def __init__(self):
        self.n_rows = []

    def on_batch_end(self, net, training, y_pred, **kwargs):
        if training:
            self.n_rows.append(len(y_pred))


def numbers(estimator):
    """Give everything that tells of a fit, as one array."""
    state = estimator.module_.state_dict().values()
    return np.concatenate(
        [losses(estimator), *(each.numpy().ravel() for each in state)]
    )


def losses(estimator):
    return np.r_[estimator.loss_curve_, estimator.validation_loss_curve_]


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """The folder in which two processes have left their fits and their errors."""
    folder = tmp_path_factory.mktemp("processes")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*launch, "--nproc-per-node", "2", __file__, str(folder)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    # The exit code does not matter: torch can abort after the last line of the script.
    assert (folder / "threads 0").exists() and (folder / "threads 1").exists(), (
        done.stderr
    )
    return folder


def save_fits(folder, rank):
    exact, near = fits(TOGETHER)
    found = {name: numbers(estimator) for name, estimator in (exact | near).items()}
    note = NoteShares()
    settings = {"net_params": TOGETHER, "callbacks": [note], "max_epochs": 1}
    X = np.random.RandomState(0).normal(size=(105, 4))
    skae.AutoencoderTransformer(
        batch_size=25, validation_fraction=None, random_state=0, **settings
    ).fit(X)
    # Of rows that are all the same, only the draws of codes tell steps apart.
    same = skae.VariationalAutoencoder(
        **{**settings, "callbacks": [NoteShares()]},
        batch_size=16,
        init="random",
        lr=1e-9,
        random_state=0,
        validation_fraction=None,
    )
    same.fit(np.ones((128, 4)))
    draws = [batch["train_loss"] for batch in same.net_.history[-1, "batches"]]
    np.savez(folder / f"{rank}.npz", shares=note.n_rows, draws=draws, **found)


def save_errors(folder, rank):
    X = np.random.RandomState(0).normal(size=(400, 4))
    settings = {"max_epochs": 1, "net_params": TOGETHER}
    other_end = np.vstack([X[:-1], X[[rank]]])
    cases = {
        "rows": (X[rank * 200 :][:200], None, 0, {}),
        "end": (other_end, None, 0, {"validation_fraction": None}),
        "weights": (X, np.linspace(1, 2 + rank, 400), 0, {"validation_fraction": None}),
        "seed": (X, None, None, {}),
        "length": (X, None, 0, {"max_epochs": 1 + rank}),
    }
    for name, (rows, weight, seed, params) in cases.items():
        model = skae.AutoencoderTransformer(random_state=seed, **settings | params)
        try:
            model.fit(rows, sample_weight=weight)
        except ValueError as error:
            (folder / f"{name} {rank}").write_text(str(error))


def threads():
    """Give the names of this process's threads, where the system has a file of them."""
    return [file.read_text().strip() for file in Path("/proc/self/task").glob("*/comm")]


def test_same_result_as_in_one_process(two_processes):
    first, second = (np.load(two_processes / f"{rank}.npz") for rank in (0, 1))
    assert_array_equal(first["shares"], [12, 12, 12, 12, 2])
    assert_array_equal(second["shares"], [13, 13, 13, 13, 3])
    exact, near = fits()
    for name, estimator in exact.items():
        assert_array_equal(first[name], second[name])
        alone = numbers(estimator)
        assert_allclose(first[name], alone, rtol=1e-5, atol=1e-5, err_msg=name)
    for name, estimator in near.items():
        assert_array_equal(first[name], second[name])
        alone = losses(estimator)
        together = first[name][: len(alone)]
        start = len(estimator.loss_curve_)  # of the validation losses
        assert_allclose(together[start], alone[start], rtol=1e-5, err_msg=name)
        falls = [curve[start] - curve[-1] for curve in (together, alone)]
        assert_allclose(falls[0], falls[1], rtol=0.3, err_msg=name)


def test_codes_are_drawn_anew_in_each_step(two_processes):
    losses = np.load(two_processes / "0.npz")["draws"]
    assert len(losses) == len(set(losses)) == 8


def test_processes_that_differ(two_processes):
    for rank in (0, 1):
        found = {
            name: (two_processes / f"{name} {rank}").read_text()
            for name in ("rows", "end", "weights", "seed", "length")
        }
        assert "They differ in: content." in found["rows"]
        assert "They differ in: content." in found["end"]
        assert "They differ in: sample_weight." in found["weights"]
        assert "random_state" in found["seed"].split("differ in")[1]
        assert "They differ in: max_epochs." in found["length"]


def test_no_thread_is_left_when_the_group_is_destroyed(two_processes):
    # A thread that is left can abort the process while Python shuts down.
    for rank in (0, 1):
        assert "gloo" not in (two_processes / f"threads {rank}").read_text()


def test_one_process_alone():
    model = skae.AutoencoderTransformer(net_params=TOGETHER, random_state=0)
    with pytest.raises(ValueError, match="start the script with torchrun"):
        model.fit(np.random.RandomState(0).normal(size=(100, 4)))


if __name__ == "__main__":
    torch.distributed.init_process_group("gloo")
    folder, rank = Path(sys.argv[1]), torch.distributed.get_rank()
    for save in (save_fits, save_errors):
        save(folder, rank)
    torch.distributed.barrier()  # one that leaves early may take the other with it
    torch.distributed.destroy_process_group()
    (folder / f"threads {rank}").write_text(" ".join(threads()))
