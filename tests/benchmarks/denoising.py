"""How much noise the denoising autoencoder takes out of held-out rows.

``python -m tests.benchmarks.denoising [set ...]`` prints two tables and writes
``denoising.json`` and ``denoising.md`` into ``--output`` (default: the working folder).

The first has gains in dB, ``10 log10(MSE(noisy) / MSE(denoised))``, so 0 is what doing
nothing gives. The second has the accuracy of classifiers that are trained on the codes
or the denoised rows of clean training rows and see those of noisy test rows.
"""

import time
import warnings

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, DenoisingAutoencoder
from skae.noise import GaussianNoise, MaskingNoise, SwapNoise
from tests.benchmarks import common

NAMES = (
    "digits",
    "satellite",
    "leaf",
    "cells",
    "wa_churn",
    "japanese_vowels",
    "fashion_mnist",
)
SEEDS = (0, 1, 2)
N_TRAIN = 10_000
# Standard deviation of the Gaussian noise: of images in [0, 1], of other sets.
STD = {"digits": 0.3, "fashion_mnist": 0.3}
STD_OF_STANDARDISED = 0.5


def noises(data):
    """Noises to try, each with the level that makes it the same on every set."""
    scale = np.sqrt(data.X_train[:N_TRAIN].var(axis=0).mean())
    std = STD.get(data.name, STD_OF_STANDARDISED)
    return {
        "gaussian": GaussianNoise(std / scale),
        "masking": MaskingNoise(0.3),
        "swap": SwapNoise(0.15),
    }


def corrupt(noise, X_train, X, seed):
    """Noisy copy of rows."""
    noise.fit(torch.as_tensor(X_train))
    if isinstance(noise, SwapNoise):
        noise.lend(torch.as_tensor(X_train))
    generator = torch.Generator().manual_seed(seed)
    noisy = noise.train()(torch.as_tensor(X), generator).numpy()
    if isinstance(noise, SwapNoise):
        noise.lend(None)
    return noisy


def wiener(X_train, noisy, std):
    """The Wiener filter in the basis of PCA, all directions, the true noise."""
    pca = PCA().fit(X_train)
    factor = pca.explained_variance_ / (pca.explained_variance_ + std**2)
    return pca.inverse_transform(pca.transform(noisy) * factor)


def measure(data, kind, noise, seeds):
    """Gains in dB on held-out rows."""
    X_train = data.X_train[:N_TRAIN]
    test_noisy = corrupt(noise, X_train, data.X_test, 12345)

    def gain(X_hat):
        before = np.mean((test_noisy - data.X_test) ** 2)
        return 10 * np.log10(before / np.mean((X_hat - data.X_test) ** 2))

    pca = PCA(8, random_state=0).fit(X_train)
    row = {
        "set": data.name,
        "shape": list(X_train.shape),
        "noise": kind,
        "pca_8": gain(pca.inverse_transform(pca.transform(test_noisy))),
    }
    if kind == "gaussian":
        std = float(noise.level * noise.scale)
        row["wiener"] = gain(wiener(X_train, test_noisy, std))
        if X_train.shape[1] < 400:
            net = MLPRegressor(
                hidden_layer_sizes=(100, 100), max_iter=100, random_state=0
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                net.fit(corrupt(noise, X_train, X_train, 1), X_train)
            row["mlp_regressor"] = gain(net.predict(test_noisy))
    fits = {
        "linear": {"hidden_layer_sizes": ()},
        "random": {"init": "random"},
        "default": {},
    }
    for name, params in fits.items():
        gains, seconds = [], []
        for seed in seeds if name == "default" else seeds[:1]:
            start = time.perf_counter()
            model = DenoisingAutoencoder(noise=noise, random_state=seed, **params)
            model.fit(X_train)
            seconds.append(time.perf_counter() - start)
            gains.append(gain(model.reconstruct(test_noisy)))
        row[name], row[f"{name}_seconds"] = gains, seconds
    return row


def accuracies(data, noise):
    """Accuracy from noisy rows, of two classifiers on codes of 8 and on rows."""
    X_train, y_train = data.X_train[:N_TRAIN], data.y_train[:N_TRAIN]
    test_noisy = corrupt(noise, X_train, data.X_test, 12345)
    denoiser = DenoisingAutoencoder(noise=noise, random_state=0).fit(X_train)
    steps = {
        "noisy rows": (X_train, test_noisy),
        "denoised rows": (
            denoiser.reconstruct(X_train),
            denoiser.reconstruct(test_noisy),
        ),
    }
    for name, model in {
        "PCA, 8": PCA(8, random_state=0),
        "autoencoder, 8": AutoencoderTransformer(8, random_state=0),
        "denoising, 8": DenoisingAutoencoder(8, noise=noise, random_state=0),
    }.items():
        steps[name] = (model.fit_transform(X_train), model.transform(test_noisy))
    classifiers = {
        "neighbours": KNeighborsClassifier(),
        "logistic": LogisticRegression(max_iter=2000),
    }
    scores = {}
    for features, (train, test) in steps.items():
        for name, classifier in classifiers.items():
            # A scaler would blow up the noise of the pixels that are always white.
            scaler = "passthrough" if data.image_shape else StandardScaler()
            model = make_pipeline(scaler, classifier).fit(train, y_train)
            scores[f"{features}: {name}"] = model.score(test, data.y_test)
    return {"set": data.name, "scores": scores}


def as_markdown(record):
    """Tables of the results."""
    lines = [
        "| set | rows x columns | noise | PCA, 8 | Wiener | MLPRegressor "
        "| best linear | random start | skae, worst | skae, mean | seconds |",
        "|" + " --- |" * 11,
    ]

    def number(value):
        return "" if value is None else f"{np.mean(value):.2f}"

    for row in record["rows"]:
        lines.append(
            f"| {row['set']} | {row['shape'][0]} x {row['shape'][1]} | {row['noise']} "
            f"| {number(row['pca_8'])} | {number(row.get('wiener'))} "
            f"| {number(row.get('mlp_regressor'))} | {number(row['linear'])} "
            f"| {number(row['random'])} | {min(row['default']):.2f} "
            f"| {np.mean(row['default']):.2f} "
            f"| {np.median(row['default_seconds']):.1f} |"
        )
    if record["accuracies"]:
        names = list(record["accuracies"][0]["scores"])
        lines += ["", "| from noisy rows | " + " | ".join(names) + " |"]
        lines.append("|" + " --- |" * (1 + len(names)))
        lines += [
            f"| {row['set']} | "
            + " | ".join(f"{row['scores'][name]:.3f}" for name in names)
            + " |"
            for row in record["accuracies"]
        ]
    return "\n".join(lines)


def main():
    """Measure the sets named on the command line, or all."""
    parser = common.parser(__doc__, NAMES)
    parser.add_argument("--seeds", type=int, default=len(SEEDS))
    args = parser.parse_args()
    record = {
        "seeds": SEEDS[: args.seeds],
        **common.environment(),
        "rows": [],
        "accuracies": [],
    }
    for data in common.available(args.sets):
        for kind, noise in noises(data).items():
            record["rows"].append(measure(data, kind, noise, record["seeds"]))
            last = {"rows": record["rows"][-1:], "accuracies": []}
            print(as_markdown(last).splitlines()[-1], flush=True)
        if data.name in {"digits", "satellite", "leaf", "cells"}:
            record["accuracies"].append(accuracies(data, noises(data)["gaussian"]))
        common.save(args.output, "denoising", record, as_markdown(record))
    print(as_markdown(record))


if __name__ == "__main__":
    main()
