"""Training in several processes: each takes its share of every batch."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from skorch.callbacks import Callback

import skae

if not torch.distributed.is_available():
    pytest.skip("this build of torch has no torch.distributed", allow_module_level=True)

TOGETHER = {"share_batches": True}


def fits(net_params=None):
    """Fits by name; the rows make a last batch of one row, and shares that differ."""
    rng = np.random.RandomState(0)
    place = rng.uniform(-2, 2, size=(321, 1))
    X = np.hstack([np.sin(place * f) for f in (1, 2, 3)] * 2)
    X += 0.05 * rng.normal(size=X.shape)
    weight = rng.uniform(0.5, 2, size=len(X))
    common = {"net_params": net_params, "random_state": 0}
    settings = {"max_epochs": 5, "batch_size": 32, **common}
    plain = skae.AutoencoderTransformer
    return {
        "default": plain(2, **settings).fit(X),
        "weights": plain(2, **settings).fit(X, sample_weight=weight),
        "no validation": plain(2, validation_fraction=None, **settings).fit(X),
        "one row": plain(2, validation_fraction=None, **settings).fit(X[:33]),
        "random": plain(2, init="random", early_stopping=True, **settings).fit(X),
        # One epoch is 20 steps; more of them let roundings grow.
        "lbfgs": plain(2, optimizer="lbfgs", max_epochs=1, **common).fit(X),
        "partial": plain(2, **settings).partial_fit(X).partial_fit(X),
        "denoising": skae.DenoisingAutoencoder(2, noise="swap", **settings).fit(X),
        "stacked": skae.StackedAEPretrainer(2, fine_tune_epochs=3, **settings).fit(X),
        "variational": skae.VariationalAutoencoder(2, **settings).fit(X),
    }


class NoteShares(Callback):
    """Notes how many rows of each batch this process trains on."""

    def __init__(self):
        self.n_rows = []

    def on_batch_end(self, net, training, y_pred, **kwargs):
        if training:
            self.n_rows.append(len(y_pred))


def numbers(estimator):
    """Everything that tells of a fit, as one array."""
    state = estimator.module_.state_dict().values()
    curves = [estimator.loss_curve_, estimator.validation_loss_curve_]
    curves = np.concatenate([*curves, [estimator.best_epoch_]])
    return np.concatenate([curves, *(tensor.numpy().ravel() for tensor in state)])


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
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return folder


def save_fits(folder, rank):
    found = {name: numbers(estimator) for name, estimator in fits(TOGETHER).items()}
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
    losses = [batch["train_loss"] for batch in same.net_.history[-1, "batches"]]
    np.savez(folder / f"{rank}.npz", shares=note.n_rows, draws=losses, **found)


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


def test_same_result_as_in_one_process(two_processes):
    first, second = (np.load(two_processes / f"{rank}.npz") for rank in (0, 1))
    assert_array_equal(first["shares"], [12, 12, 12, 12, 2])
    assert_array_equal(second["shares"], [13, 13, 13, 13, 3])
    for name, estimator in fits().items():
        assert_array_equal(first[name], second[name])
        alone = numbers(estimator)
        if name == "variational":  # codes are drawn by each process by itself
            assert_allclose(first[name][:5], alone[:5], rtol=0.1)
        else:
            assert_allclose(first[name], alone, rtol=1e-5, atol=1e-5, err_msg=name)


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


def test_one_process_alone():
    model = skae.AutoencoderTransformer(net_params=TOGETHER, random_state=0)
    with pytest.raises(ValueError, match="start the script with torchrun"):
        model.fit(np.random.RandomState(0).normal(size=(100, 4)))


if __name__ == "__main__":
    torch.distributed.init_process_group("gloo")
    for save in (save_fits, save_errors):
        save(Path(sys.argv[1]), torch.distributed.get_rank())
    torch.distributed.barrier()  # one that leaves early may take the other with it
    torch.distributed.destroy_process_group()
