"""A fit that is killed goes on from skorch's checkpoints."""

import signal
import subprocess
import sys

import numpy as np
import pytest
from skorch.callbacks import Checkpoint, LoadInitState, TrainEndCheckpoint

from skae import AutoencoderTransformer

KILLED = """
import os, signal, sys
import numpy as np
from skorch.callbacks import Callback, Checkpoint
from skae import AutoencoderTransformer

class Kill(Callback):
    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 40:
            os.kill(os.getpid(), signal.SIGKILL)

folder = sys.argv[1]
checkpoint = Checkpoint(dirname=folder, monitor="valid_loss_best")
model = AutoencoderTransformer(
    1, max_epochs=200, random_state=0, callbacks=[checkpoint, Kill()]
)
model.fit(np.load(os.path.join(folder, "X.npy")))
"""


@pytest.fixture
def killed(tmp_path, curved):
    """Folder with the checkpoint of a fit that was killed."""
    if not hasattr(signal, "SIGKILL"):
        pytest.skip("the system has no SIGKILL")
    np.save(tmp_path / "X.npy", curved)
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path], check=False)
    assert done.returncode == -signal.SIGKILL
    return tmp_path


def test_a_killed_fit_goes_on_with_warm_start(killed, curved):
    whole = AutoencoderTransformer(1, max_epochs=200, random_state=0).fit(curved)
    model = AutoencoderTransformer(1, max_epochs=1, random_state=0, warm_start=True)
    model.fit(curved)
    start = model.score(curved)
    model.net_.load_params(f_params=killed / "params.pt")
    loaded = model.score(curved)
    assert start < loaded
    model.set_params(max_epochs=160).fit(curved)
    # It begins with what was loaded, and is judged by the same rows.
    assert model.validation_loss_curve_[0] < whole.validation_loss_curve_[1]
    assert model.score(curved) > loaded
    assert model.score(curved) > whole.score(curved) - 0.02


def test_a_killed_fit_goes_on_when_it_is_run_again(killed, curved):
    whole = AutoencoderTransformer(1, max_epochs=200, random_state=0).fit(curved)
    checkpoint = Checkpoint(dirname=killed, monitor="valid_loss_best")
    callbacks = [checkpoint, LoadInitState(checkpoint)]
    model = AutoencoderTransformer(
        1, max_epochs=160, random_state=0, callbacks=callbacks
    ).fit(curved)
    # The epochs before the kill are in the history.
    assert 160 < len(model.net_.history) <= 200
    assert model.best_loss_ < model.validation_loss_curve_[0]
    assert model.score(curved) > whole.score(curved) - 0.02


def test_checkpoint_of_the_end_is_the_state_kept(tmp_path, curved):
    callbacks = [TrainEndCheckpoint(dirname=tmp_path)]
    params = {"max_epochs": 60, "random_state": 0}
    model = AutoencoderTransformer(1, callbacks=callbacks, **params).fit(curved)
    assert model.best_epoch_ > 0
    other = AutoencoderTransformer(1, **{**params, "max_epochs": 1}).fit(curved)
    other.net_.load_params(f_params=tmp_path / "train_end_params.pt")
    # The codes of the checkpoint are not in order yet: equal but for rounding.
    assert other.score(curved) == pytest.approx(model.score(curved), rel=1e-6)
