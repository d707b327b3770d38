"""
One network, several processes
==============================

How do several processes train one network? ``torchrun`` starts this script in each of
them, and each process computes the gradients of its share of every batch. The result is
that of one process, up to rounding. Compare:

.. code-block:: bash

   python examples/under_the_hood/train_in_processes.py
   torchrun --nproc-per-node 2 examples/under_the_hood/train_in_processes.py

Each step here takes some billion multiplications, and then the processes exchange 9 MB.
On one machine, threads are as good as processes (``torch.set_num_threads``). Processes
can also run on several machines.
"""

# sphinx_gallery_thumbnail_path = '_static/processes.svg'

import os
import time

import torch
import torch.distributed as dist
from sklearn.datasets import load_digits

from skae import AutoencoderTransformer

together = dist.is_torchelastic_launched()  # by torchrun
device = "cpu"
if together:
    if torch.cuda.is_available():
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    dist.init_process_group("gloo" if device == "cpu" else "nccl")
rank = dist.get_rank() if together else 0

# %%
# All processes have the same rows and the same random state.

X = load_digits().data / 16
autoencoder = AutoencoderTransformer(
    16,
    hidden_layer_sizes=(1000, 1000),
    batch_size=512,
    max_epochs=10,
    net_params={"share_batches": together},
    device=device,
    random_state=0,
)
start = time.perf_counter()
autoencoder.fit(X)
seconds = time.perf_counter() - start

# %%
# All processes have the same network in the end, so only the first one prints the
# result.

if rank == 0:
    n_processes = dist.get_world_size() if together else 1
    print(f"{n_processes} process(es): {seconds:.1f} s, R² {autoencoder.score(X):.5f}")
if together:
    dist.barrier()
    dist.destroy_process_group()
