"""Time of a fit beside a bare torch loop that trains the very same net.

``python -m tests.benchmarks.overhead`` prints a table and writes ``overhead.json`` and
``overhead.md`` into ``--output`` (default: the working folder). The loop is the one an
expert writes: layers in an `nn.Sequential`, fused Adam, rows in one tensor, each epoch
in slices of a random permutation, and no loss read off. skae fits with
``init="random"`` (no linear path, no noise), no validation rows and a constant learning
rate; then with its one-cycle schedule, and with all defaults of the start, to show what
they cost; and with a tenth of the rows held out, whose loss chooses the state kept.
Times are those of a step: of a whole fit, its checks and set-up included, divided by
the number of steps. Beside them is the time of the matrix products of a step, forward
and backward, into memory that is there.

Times are CPU time with one thread, which is the default. ``--threads 2`` measures by
the clock, which needs an idle machine.
"""

import itertools
import time

import numpy as np
import torch
from torch import nn

from skae import AutoencoderTransformer
from tests.benchmarks import common
from tests.benchmarks.data import load

# Data, widths from input to code, rows of a batch, epochs.
CASES = (
    ("uniform", (20, 64, 2), 32, 16),
    ("digits", (64, 32, 8), 128, 80),
    ("digits", (64, 32, 8), 128, 30),
    ("fashion_mnist", (784, 100, 30), 256, 10),
    ("fashion_mnist", (784, 100, 30), 256, 3),
    ("uniform", (3000, 512, 64), 512, 4),
)
N_ROWS = {20: 2_000, 784: 10_000, 3000: 5_120}
N_REPEATS = 7


def rows_of(name, n_features):
    """Rows in float32, as the loop has them."""
    if name == "uniform":
        rng = np.random.default_rng(0)
        X = rng.uniform(size=(N_ROWS[n_features], n_features))
    else:
        X = load(name).X_train[: N_ROWS.get(n_features)]
    return X.astype(np.float32)


def fit_skae(X, widths, batch_size, n_epochs, **params):
    """Fit an autoencoder of skae."""
    options = {
        "init": "random",
        "lr_schedule": None,
        "validation_fraction": None,
        "device": "cpu",
        "random_state": 0,
        **params,
    }
    AutoencoderTransformer(
        widths[-1],
        hidden_layer_sizes=widths[1:-1],
        batch_size=batch_size,
        max_epochs=n_epochs,
        **options,
    ).fit(X)


def bare_loop(X, widths, batch_size, n_epochs):
    """Train the same layers by a loop written for nothing else."""
    layers = []
    for d_in, d_out in itertools.pairwise(widths):
        layers += [nn.Linear(d_in, d_out), nn.SiLU()]
    layers.pop()
    for d_in, d_out in itertools.pairwise(widths[::-1]):
        layers += [nn.Linear(d_in, d_out), nn.SiLU()]
    net = nn.Sequential(*layers[:-1])
    rows, loss_function = torch.from_numpy(X), nn.MSELoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3, fused=True)
    for _ in range(n_epochs):
        for index in torch.randperm(len(rows)).split(batch_size):
            x = rows[index]
            optimizer.zero_grad()
            loss_function(net(x), x).backward()
            optimizer.step()


def products_alone(widths, batch_size, n_steps):
    """Matrix products of as many steps."""
    both = [*widths, *widths[-2::-1]]
    x = [torch.rand(batch_size, width) for width in both]
    grad = [torch.rand(batch_size, width) for width in both]
    weight = [torch.rand(d_out, d_in) for d_in, d_out in itertools.pairwise(both)]
    for _ in range(n_steps):
        for i, w in enumerate(weight):
            torch.mm(x[i], w.t(), out=x[i + 1])
            torch.mm(grad[i + 1].t(), x[i], out=w)
            if i > 0:
                torch.mm(grad[i + 1], w, out=grad[i])


SIDES = {
    "bare": bare_loop,
    "skae": fit_skae,
    "one_cycle": lambda *case: fit_skae(*case, lr_schedule="one_cycle"),
    "held_out": lambda *case: fit_skae(*case, validation_fraction=0.1),
    "defaults": lambda *case: fit_skae(*case, init="auto", lr_schedule="auto"),
}


def measure(name, widths, batch_size, n_epochs, clock):
    """Microseconds of a step on each side, in turn."""
    X = rows_of(name, widths[0])
    n_steps = n_epochs * -(-len(X) // batch_size)
    n_steps_held_out = n_epochs * -(-(len(X) - len(X) // 10) // batch_size)
    times = {side: [] for side in (*SIDES, "products")}
    for repeat in range(N_REPEATS + 1):
        for side in times:
            start = clock()
            if side == "products":
                with torch.no_grad():
                    products_alone(widths, batch_size, n_steps)
            else:
                SIDES[side](X, widths, batch_size, n_epochs)
            n = n_steps_held_out if side == "held_out" else n_steps
            if repeat > 0:  # the first one warms up
                times[side].append((clock() - start) / n * 1e6)
    return {
        "set": name,
        "n_samples": len(X),
        "widths": list(widths),
        "batch_size": batch_size,
        "n_epochs": n_epochs,
        "n_steps": n_steps,
        "microseconds": times,
    }


def as_markdown(rows):
    """Table of microseconds, minimum and median, and of ratios to the bare loop."""
    lines = [
        "| net | batch | epochs | matrix products | bare loop | skae | ratio "
        "| with one-cycle | with rows held out "
        "| with PCA start, linear path and noise |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        times = row["microseconds"]
        best = {side: min(times[side]) for side in times}
        cells = [
            f"{best[side]:.0f} / {np.median(times[side]):.0f}"
            for side in ("products", "bare", "skae")
        ]
        ratios = [
            f"{best[side] / best['bare']:.2f} / "
            f"{np.median(times[side]) / np.median(times['bare']):.2f}"
            for side in ("skae", "one_cycle", "held_out", "defaults")
        ]
        name = "-".join(map(str, row["widths"]))
        cells = [name, str(row["batch_size"]), str(row["n_epochs"]), *cells, *ratios]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main():
    """Measure all nets."""
    parser = common.parser(__doc__)
    parser.add_argument("--threads", type=int, default=1, help="of torch, on all sides")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    clock = time.process_time if args.threads == 1 else time.perf_counter
    name = "overhead" if args.threads == 1 else "overhead_threads"
    record = {**common.environment(), "rows": []}
    for case in CASES:
        record["rows"].append(measure(*case, clock))
        print(as_markdown(record["rows"][-1:]).splitlines()[-1], flush=True)
        common.save(args.output, name, record, as_markdown(record["rows"]))


if __name__ == "__main__":
    main()
