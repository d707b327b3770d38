"""
Tied weights, and training layer by layer
=========================================

There are two old recipes for deep autoencoders. With tied weights, the decoder uses the
transposes of the encoder's weights. In greedy training, one layer is trained after the
other, and all layers together at the end. Are these recipes still useful?

The same network is trained in four ways, for the same number of epochs, on images of
clothing. Tied weights halve the number of parameters. The table below has R² of
held-out images and seconds for each recipe.
"""

# %%
# The data: :func:`~skae.datasets.load_fashion_mnist`, from Debian's package or from
# OpenML.

import time

import matplotlib.pyplot as plt
import numpy as np

from skae import AutoencoderTransformer, StackedAEPretrainer
from skae.datasets import load_fashion_mnist

X = load_fashion_mnist(n_samples=3_000).data
X_test = load_fashion_mnist(subset="test", n_samples=1_000).data

# %%
# Four ways to train the same network, with the same number of epochs. Tied weights: the
# decoder uses the transposes of the encoder's weights. Greedy: each hidden layer is
# trained together with its mirror image in the decoder, then the layers next to the
# code, and in the second half of the epochs all layers.

widths = (128, 64, 32)
n_epochs = 32
models = {}
print(f"{len(X)} images to train on, {len(X_test)} held out, layers {widths}, size 16")
for tied in (False, True):
    settings = {
        "n_components": 16,
        "hidden_layer_sizes": widths,
        "tied_weights": tied,
        "random_state": 0,
    }
    of_weights = "tied" if tied else "own weights"
    models[f"joint, {of_weights}"] = AutoencoderTransformer(
        max_epochs=n_epochs, **settings
    )
    models[f"greedy, {of_weights}"] = StackedAEPretrainer(
        max_epochs=n_epochs // 8, fine_tune_epochs=n_epochs // 2, **settings
    )

figures = {}
print(
    f"\n{'':20}{'parameters':>11}{'R², trained on':>16}{'held out':>10}{'seconds':>9}"
)
for name, model in models.items():
    start = time.perf_counter()
    model.fit(X)
    seconds = time.perf_counter() - start
    n_parameters = sum(each.numel() for each in model.module_.parameters())
    r2 = model.score(X_test)
    figures[name] = r2, seconds
    print(
        f"{name:20}{n_parameters:>11,}{model.score(X):>16.4f}{r2:>10.4f}{seconds:>9.1f}"
    )

# %%
# The errors before and after each phase of greedy training. For a hidden layer, it is
# the error of the activations of the layer below; for the code, that of the images.

for phase in models["greedy, own weights"].phases_:
    print(
        f"{phase['name']:8} of {phase['width']:>4}: error {phase['error_before']:.4f} "
        f"before, {phase['error_after']:.4f} after {phase['seconds']:.1f} seconds"
    )

# %%
# Left: the validation loss by epoch. For greedy training, it starts with the training
# of all layers. Right: R² and seconds of each recipe.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
for i, (name, model) in enumerate(models.items()):
    style = {"color": f"C{i}", "linestyle": "--" if "tied" in name else "-"}
    curve = model.validation_loss_curve_
    left.plot(n_epochs + 1 - len(curve) + np.arange(len(curve)), curve, **style)
    r2, seconds = figures[name]
    marker = "^" if "greedy" in name else "o"
    right.plot(seconds, r2, marker, markersize=9, label=name, **style)
left.axvspan(0, n_epochs // 2, color="0.95")
left.text(
    0.37,
    0.95,
    "greedy:\nlayer by layer",
    ha="center",
    va="top",
    transform=left.transAxes,
)
left.set(xlabel="epoch", ylabel="mean squared error", title="Validation loss by epoch")
right.set(
    xlabel="seconds",
    ylabel="R² of held-out images",
    title="Quality and time in the end",
)
right.legend()
right.grid(alpha=0.3)
plt.show()
