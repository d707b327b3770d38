"""Seconds until the error of held-out rows is that of PCA, and lower.

``OMP_NUM_THREADS=1 python -m tests.benchmarks.time_to_quality [set ...]`` prints a
table and writes ``time_to_quality.json`` and ``time_to_quality.md`` into ``--output``
(default: the working folder). For each set PCA with as many components as codes gives
the squared error that is 1; the levels are 1, 0.9 and 0.75 of it. The figures are CPU
seconds of training, on one thread, until the mean squared error of rows that nothing
was fitted to is at the level; the time to compute that error is taken out.

- skae (default settings, and ``init="random"``) has a schedule of the learning rate
  that ends at zero: what it is at halfway is not what a shorter fit gives. So the
  figure is the time of a whole fit, the shortest that reaches the level of those with
  `max_epochs` of 1, 2, 4, ..., of about 2,000 steps ("auto") at last. Fitting includes
  the PCA it starts from.
- The others train at a constant rate, and the error is taken after each epoch: a bare
  torch loop, scikit-learn's `MLPRegressor` fitted to ``(X, X)``, encdr, `AutoEncoder`
  of pyod, keras on torch, `AETrainer` of autoencoders, and `AE` of pyautoencoder, which
  leaves the loop to its user: that of the bare torch loop. Their learning rates are
  their defaults; batches have 256 rows (or a tenth of the rows), hidden layers 100 and
  100 units on all sides. pyod and encdr have no callback: they are fitted anew, for 1,
  2, 4, ... epochs.

No fit goes on for much longer than `--cap` seconds. Peers that are not installed (``pip
install -e ".[bench]"``) are left out, with the reason.
"""

import contextlib
import importlib
import io
import itertools
import os
import time
import warnings

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.neural_network import MLPRegressor
from torch import nn
from torch.utils.data import DataLoader

from skae import AutoencoderTransformer
from tests.benchmarks import common
from tests.benchmarks.data import DatasetUnavailable, load

os.environ["KERAS_BACKEND"] = "torch"
LEVELS = (1.0, 0.9, 0.75)
CODES = {"fashion_mnist": 30, "digits": 8, "satellite": 4, "wide": 10}
HIDDEN = (100, 100)


def wide_set():
    """Rows in 5,000 columns, curved in 10 dimensions: sin(Z W + b) + 0.1 E."""
    rng = np.random.default_rng(0)
    Z = rng.uniform(-1, 1, size=(1250, 10))
    X = np.sin(Z @ rng.normal(size=(10, 5000)) + rng.uniform(0, 2 * np.pi, 5000))
    X += 0.1 * rng.normal(size=X.shape)
    return X[:1000].astype(np.float32), X[1000:].astype(np.float32)


def rows_of(name):
    """Training and test rows in float32."""
    if name == "wide":
        return wide_set()
    data = load(name)
    return data.X_train.astype(np.float32), data.X_test.astype(np.float32)


class Enough(Exception):
    """All levels are reached, or the time is up."""


class Clock:
    """Notes the seconds of training at which levels are reached.

    Parameters
    ----------
    X_test : ndarray
        Held-out rows.
    levels : list of float
        Mean squared errors.
    cap : float
        Seconds of a fit after which `Enough` is raised.
    """

    def __init__(self, X_test, levels, cap):
        self.X_test, self.levels, self.cap = X_test, levels, cap
        self.seconds = [None] * len(levels)
        self.curve = []
        self.start()

    def start(self):
        """Begin a fit."""
        self.fit_seconds, self.since = 0.0, time.process_time()

    def look(self, reconstruct):
        """Take the error of what is trained so far; the clock stands still."""
        self.fit_seconds += time.process_time() - self.since
        X_hat = np.asarray(reconstruct(self.X_test))
        error = float(np.mean(np.square(X_hat - self.X_test)))
        self.curve.append((self.fit_seconds, error))
        for i, level in enumerate(self.levels):
            if error <= level:
                found = self.seconds[i]
                self.seconds[i] = min(found or np.inf, self.fit_seconds)
        if None not in self.seconds or self.fit_seconds > self.cap:
            raise Enough
        self.since = time.process_time()


def lengths(last):
    """1, 2, 4, ... and, at last, `last` itself."""
    return [*itertools.takewhile(lambda n: n < last, (2**i for i in range(20))), last]


def skae(X, n_components, clock, **params):
    """Fit skae for more and more epochs."""
    batch_size = int(np.clip(len(X) // 10, 16, 256))
    for n_epochs in lengths(max(1, round(2000 / (len(X) / batch_size)))):
        clock.start()
        model = AutoencoderTransformer(
            n_components, max_epochs=n_epochs, random_state=0, **params
        )
        clock.look(model.fit(X).reconstruct)


def bare_loop(X, n_components, clock):
    """Train by a torch loop: Adam at 1e-3."""
    torch.manual_seed(0)
    net = nn.Sequential(*halves(X.shape[1], n_components))
    run_loop(X, net, lambda x: nn.functional.mse_loss(net(x), x), net, clock)


def halves(n_features, n_components):
    """Encoder and decoder of dense layers."""
    widths = [n_features, *HIDDEN, n_components]
    for half in (widths, widths[::-1]):
        layers = []
        for d_in, d_out in itertools.pairwise(half):
            layers += [nn.Linear(d_in, d_out), nn.GELU()]
        yield nn.Sequential(*layers[:-1])


def run_loop(X, net, loss_of, reconstruct, clock):
    """Train a torch module by a bare loop."""
    rows = torch.from_numpy(X)
    optimizer = torch.optim.Adam(net.parameters(), fused=True)
    while True:
        for index in torch.randperm(len(rows)).split(batch_size_of(X)):
            optimizer.zero_grad()
            loss_of(rows[index]).backward()
            optimizer.step()
        with torch.no_grad():
            clock.look(lambda X: reconstruct(torch.from_numpy(X)).numpy())


def batch_size_of(X):
    """Rows of a batch, for those who do not choose it themselves."""
    return int(np.clip(len(X) // 10, 16, 256))


def mlp_regressor(X, n_components, clock):
    """Fit scikit-learn's regressor to the rows themselves."""
    model = MLPRegressor(
        hidden_layer_sizes=(*HIDDEN, n_components, *HIDDEN[::-1]),
        batch_size=batch_size_of(X),
        random_state=0,
    )
    while True:
        model.partial_fit(X, X)
        clock.look(model.predict)


def encdr(X, n_components, clock):
    """Fit encdr's autoencoder for more and more epochs."""
    from encdr import ENCDR

    for i in itertools.count():
        clock.start()
        model = ENCDR(
            hidden_dims=list(HIDDEN),
            latent_dim=n_components,
            batch_size=batch_size_of(X),
            max_epochs=2**i,
            standardize=False,
            random_state=0,
        ).fit(X)
        clock.look(model.predict)


def pyod(X, n_components, clock):
    """Fit pyod's detector for more and more epochs, rows taken as they are."""
    from pyod.models.auto_encoder import AutoEncoder

    for i in itertools.count():
        clock.start()
        model = AutoEncoder(
            preprocessing=False,
            batch_size=batch_size_of(X),
            epoch_num=2**i,
            hidden_neuron_list=[*HIDDEN, n_components],
            verbose=0,
            random_state=0,
        ).fit(X)

        net = model.model.eval()
        with torch.no_grad():
            clock.look(lambda X, net=net: net(torch.from_numpy(X)).numpy())


def keras(X, n_components, clock):
    """Fit a keras model of dense layers, Adam at its default."""
    import keras

    keras.utils.set_random_seed(0)
    hidden = [keras.layers.Dense(n, activation="gelu") for n in HIDDEN]
    mirrored = [keras.layers.Dense(n, activation="gelu") for n in HIDDEN[::-1]]
    code, output = keras.layers.Dense(n_components), keras.layers.Dense(X.shape[1])
    model = keras.Sequential([*hidden, code, *mirrored, output])
    model.compile(optimizer="adam", loss="mse")

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            clock.look(lambda X: model.predict(X, batch_size=4096, verbose=0))

    model.fit(
        X,
        X,
        batch_size=batch_size_of(X),
        epochs=100_000,
        verbose=0,
        callbacks=[Look()],
    )


def autoencoders(X, n_components, clock):
    """Train the autoencoder of autoencoders by its trainer, which prints progress."""
    from autoencoders import (
        AETrainer,
        AutoencoderConfig,
        AutoencoderModel,
        TrainingConfig,
    )
    from autoencoders.data import TensorSpec

    torch.manual_seed(0)
    model = AutoencoderModel(
        AutoencoderConfig(),
        sample_spec=TensorSpec(shape=(X.shape[1],)),
        encoder="mlp",
        encoder_config={"hidden_dims": [*HIDDEN, n_components], "activation": "gelu"},
    )
    trainer = AETrainer(model, TrainingConfig(device="cpu"))
    batches = DataLoader(torch.from_numpy(X), batch_size_of(X), shuffle=True)
    while True:
        with contextlib.redirect_stdout(io.StringIO()):
            trainer.train_epoch(batches)
        with torch.no_grad():
            clock.look(lambda X: model(torch.from_numpy(X)).reconstruction.numpy())


def pyautoencoder(X, n_components, clock):
    """Train the autoencoder of pyautoencoder, a wrapper of two torch modules."""
    from pyautoencoder.vanilla import AE

    torch.manual_seed(0)
    net = AE(*halves(X.shape[1], n_components))
    net.build(torch.from_numpy(X[:1]))
    run_loop(
        X,
        net,
        lambda x: net.compute_loss(x, net(x)).objective,
        lambda x: net(x).x_hat,
        clock,
    )


SIDES = {
    "skae": skae,
    'skae, `init="random"`': lambda *args: skae(*args, init="random"),
    "bare torch loop": bare_loop,
    "MLPRegressor": mlp_regressor,
    "encdr": encdr,
    "pyod": pyod,
    "keras": keras,
    "autoencoders": autoencoders,
    "pyautoencoder": pyautoencoder,
}
PACKAGES = ("encdr", "pyod", "keras", "autoencoders", "pyautoencoder")


def measure(name, cap):
    """Seconds to each level on each side; the row again after each of them."""
    X, X_test = rows_of(name)
    pca = PCA(CODES[name], random_state=0).fit(X)
    X_hat = pca.inverse_transform(pca.transform(X_test))
    error = float(np.mean(np.square(X_hat - X_test)))
    row = {"set": name, "shape": list(X.shape), "n_components": CODES[name]}
    row |= {"pca": error, "cap": cap, "sides": {}, "left_out": {}}
    for side, train in SIDES.items():
        if side in PACKAGES:
            try:
                importlib.import_module(side)
            except ImportError as reason:
                row["left_out"][side] = str(reason)
                continue
        clock = Clock(X_test, [level * error for level in LEVELS], cap)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                train(X, CODES[name], clock)
        except Enough:
            pass
        row["sides"][side] = {"seconds": clock.seconds, "curve": clock.curve}
        print(as_markdown([row]).splitlines()[-1], flush=True)
        yield row


def as_markdown(rows):
    """Table of the seconds, one line for a set and side."""
    head = "".join(f"| {level:g} of PCA's error " for level in LEVELS)
    lines = [f"| set | trained by {head}|", "| --- | --- | --- | --- | --- |"]
    for row in rows:
        name = f"{row['set']}, {row['shape'][0]} x {row['shape'][1]}, "
        name += f"{row['n_components']} codes"
        for side, result in row["sides"].items():
            cells = [
                f"{seconds:.2f}"
                if seconds is not None
                else f"not in {min(row['cap'], result['curve'][-1][0]):.0f}"
                for seconds in result["seconds"]
            ]
            lines.append(f"| {name} | {side} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main():
    """Measure the sets named on the command line, or all."""
    parser = common.parser(__doc__, CODES)
    parser.add_argument("--cap", type=float, default=120, help="seconds for a side")
    args = parser.parse_args()
    torch.set_num_threads(1)
    # The first optimizer of torch in a process imports its compiler: no training.
    torch.optim.Adam([nn.Parameter(torch.zeros(1))], fused=True)
    record = {**common.environment(), "rows": []}
    for name in args.sets:
        try:
            done = list(record["rows"])
            for row in measure(name, args.cap):
                record["rows"] = [*done, row]
                table = as_markdown(record["rows"])
                common.save(args.output, "time_to_quality", record, table)
        except DatasetUnavailable as error:
            warnings.warn(f"{name} is left out: {error}", stacklevel=1)
    for side, reason in record["rows"][-1]["left_out"].items():
        print(f"{side} is left out: {reason}")


if __name__ == "__main__":
    main()
