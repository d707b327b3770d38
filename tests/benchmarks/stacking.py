"""Greedy layer-wise training beside joint training, and what it costs.

``python -m tests.benchmarks.stacking`` prints three tables and writes ``stacking.json``
and ``stacking.md`` into ``--output`` (default: the working folder):

1. ``StackedAEPretrainer`` beside ``AutoencoderTransformer`` of the same layers, trained
   for as many epochs in all: R² of held-out rows, and seconds.
2. Whether stacking denoising autoencoders makes better features for a classifier than
   stacking plain ones (Vincent et al. 2010), on Fashion-MNIST.
3. Seconds of the layer-wise training of 784-256-64-30 beside torch loops written by
   hand for the same phases, in turn in one process.
"""

import itertools
import time

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skae import AutoencoderTransformer, StackedAEPretrainer
from tests.benchmarks import common

SETS = ("digits", "satellite", "fashion_mnist")
N_TRAIN = 10_000
LAYERS = ((256,), (256, 64), (256, 128, 64))
N_COMPONENTS = {"digits": 10, "satellite": 4, "fashion_mnist": 30}
SEEDS = (0, 1)
NOISES = (None, "gaussian", "masking", "swap")
N_REPEATS = 5


def greedy_and_joint(data):
    """Held-out R² and seconds of both ways to train, for depths and tied weights."""
    X, X_test = data.X_train[:N_TRAIN], data.X_test
    rows = []
    for hidden_layer_sizes in LAYERS:
        for tied_weights in (False, True):
            params = {
                "n_components": N_COMPONENTS[data.name],
                "hidden_layer_sizes": hidden_layer_sizes,
                "tied_weights": tied_weights,
            }
            row = {"set": data.name, "shape": list(X.shape), **params}
            for seed in SEEDS:
                start = time.perf_counter()
                greedy = StackedAEPretrainer(**params, random_state=seed).fit(X)
                between = time.perf_counter()
                n_epochs = greedy.n_iter_ + sum(p["n_epochs"] for p in greedy.phases_)
                joint = AutoencoderTransformer(
                    **params, max_epochs=n_epochs, random_state=seed
                ).fit(X)
                end = time.perf_counter()
                for name, model, seconds in (
                    ("greedy", greedy, between - start),
                    ("joint", joint, end - between),
                ):
                    row.setdefault(name, []).append(model.score(X_test))
                    row.setdefault(f"{name}_seconds", []).append(seconds)
            rows.append(row)
    return rows


def stacked_features(data):
    """Accuracy of logistic regression on what stacks with and without noise give."""
    X, y = data.X_train[:N_TRAIN], data.y_train[:N_TRAIN]

    def accuracy(model, **changes):
        Z = model.set_params(**changes).transform(X)
        Z_test = model.transform(data.X_test)
        classifier = LogisticRegression(max_iter=300)
        classifier = make_pipeline(StandardScaler(), classifier).fit(Z, y)
        return classifier.score(Z_test, data.y_test)

    rows = [
        {"noise": "PCA of as many components", "codes": [accuracy(PCA(30).fit(X))]},
    ]
    for noise in NOISES:
        row = {"noise": str(noise), "codes": [], "hidden": []}
        for seed in SEEDS:
            model = StackedAEPretrainer(
                30, hidden_layer_sizes=(256, 64), noise=noise, random_state=seed
            ).fit(X)
            row["codes"].append(accuracy(model))
            row["hidden"].append(accuracy(model, output="hidden"))
        rows.append(row)
    return rows


WIDTHS = (784, 256, 64, 30)
EPOCHS = 3
BATCH_SIZE = 256


def loop(forward, parameters, x, target, n_epochs):
    """Train as one writes it by hand, with rows in one tensor and a fused Adam."""
    optimizer = torch.optim.Adam(parameters, lr=3e-3, fused=True)
    n_steps = n_epochs * -(-len(x) // BATCH_SIZE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 3e-3, total_steps=n_steps, pct_start=0.1
    )
    for _ in range(n_epochs):
        for index in torch.randperm(len(x)).split(BATCH_SIZE):
            loss = nn.functional.mse_loss(forward(x[index]), target[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def by_hand(X):
    """Seconds of each phase, and of all layers, written by hand."""
    torch.manual_seed(0)
    pairs = [(nn.Linear(a, b), nn.Linear(b, a)) for a, b in itertools.pairwise(WIDTHS)]
    act = nn.GELU()
    x = torch.as_tensor(X) - X.mean(axis=0)
    seconds = []

    def encode(h, n):
        for i, (encoder, _) in enumerate(pairs[:n]):
            h = encoder(h) if i == len(pairs) - 1 else act(encoder(h))
        return h

    def decode(h):
        for i, (_, decoder) in reversed(list(enumerate(pairs))):
            h = decoder(h) if i == 0 else act(decoder(h))
        return h

    h = x
    for i, (encoder, decoder) in enumerate(pairs[:-1]):
        start = time.perf_counter()

        def shallow(h, encoder=encoder, decoder=decoder, first=i == 0):
            h = decoder(act(encoder(h)))
            return h if first else act(h)

        parameters = [*encoder.parameters(), *decoder.parameters()]
        loop(shallow, parameters, h, h, EPOCHS)
        with torch.no_grad():
            h = act(encoder(h))
        seconds.append(time.perf_counter() - start)
    every = [p for pair in pairs for layer in pair for p in layer.parameters()]
    ends = [*pairs[-1], pairs[0][1]]
    for trained in ([p for layer in ends for p in layer.parameters()], every):
        start = time.perf_counter()
        for parameter in every:
            parameter.requires_grad_(any(parameter is p for p in trained))
        loop(lambda h: decode(encode(h, len(pairs))), trained, x, x, EPOCHS)
        seconds.append(time.perf_counter() - start)
    return seconds


def by_skae(X):
    """Seconds of each phase, and of all layers, and of the whole fit."""
    start = time.perf_counter()
    model = StackedAEPretrainer(
        WIDTHS[-1],
        hidden_layer_sizes=WIDTHS[1:-1],
        init="random",
        max_epochs=EPOCHS,
        fine_tune_epochs=EPOCHS,
        batch_size=BATCH_SIZE,
        validation_fraction=None,
        random_state=0,
    ).fit(X)
    whole = time.perf_counter() - start
    seconds = [phase["seconds"] for phase in model.phases_]
    return [*seconds, whole - sum(seconds)]


def cost(data):
    """Seconds of both, the sides in turn."""
    X = np.ascontiguousarray(data.X_train[:N_TRAIN], dtype=np.float32)
    record = {"by_hand": [], "skae": []}
    for _ in range(N_REPEATS + 1):  # the first run of each side warms up
        record["by_hand"].append(by_hand(X))
        record["skae"].append(by_skae(X))
    return {side: runs[1:] for side, runs in record.items()}


def as_markdown(record):
    """Tables of the results."""
    lines = [
        "| set | rows x columns | hidden layers | tied | R², greedy | R², joint "
        "| seconds, greedy | seconds, joint |",
        "|" + " --- |" * 8,
    ]
    lines += [
        f"| {row['set']} | {row['shape'][0]} x {row['shape'][1]} "
        f"| {', '.join(map(str, row['hidden_layer_sizes']))} "
        f"| {'yes' if row['tied_weights'] else 'no'} "
        f"| {np.mean(row['greedy']):.4f} | {np.mean(row['joint']):.4f} "
        f"| {np.mean(row['greedy_seconds']):.1f} "
        f"| {np.mean(row['joint_seconds']):.1f} |"
        for row in record["greedy_and_joint"]
    ]
    if "stacked_features" in record:
        lines += ["", "| noise | codes of 30 | hidden activations |"]
        lines.append("|" + " --- |" * 3)
        lines += [
            f"| {row['noise']} | {np.mean(row['codes']):.4f} "
            f"| {np.mean(row['hidden']):.4f} |"
            if "hidden" in row
            else f"| {row['noise']} | {np.mean(row['codes']):.4f} | |"
            for row in record["stacked_features"]
        ]
    if "cost" in record:
        phases = ["layer 1", "layer 2", "code", "all layers", "sum"]
        lines += ["", "| | " + " | ".join(phases) + " |"]
        lines.append("|" + " --- |" * (1 + len(phases)))
        best = {}
        for side, runs in record["cost"].items():
            runs = np.array(runs)
            best[side] = np.array([*runs.min(axis=0), runs.sum(axis=1).min()])
        for side, seconds in best.items():
            cells = " | ".join(f"{value:.2f}" for value in seconds)
            lines.append(f"| {side.replace('_', ' ')}, seconds | {cells} |")
        cells = " | ".join(f"{r:.2f}" for r in best["skae"] / best["by_hand"])
        lines.append(f"| ratio | {cells} |")
    return "\n".join(lines)


def main():
    """Measure everything, or what the command line says."""
    parser = common.parser(__doc__, SETS)
    args = parser.parse_args()
    record = {**common.environment(), "seeds": SEEDS, "greedy_and_joint": []}
    for data in common.available(args.sets):
        if data.name == "fashion_mnist":
            record["cost"] = cost(data)
            record["stacked_features"] = stacked_features(data)
        record["greedy_and_joint"] += greedy_and_joint(data)
        common.save(args.output, "stacking", record, as_markdown(record))
    print(as_markdown(record))


if __name__ == "__main__":
    main()
