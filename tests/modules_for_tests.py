"""Users' own modules, good and bad."""

import torch
from torch import nn


class Own(nn.Module):
    """The least that is accepted, with dropout, which draws at random."""

    def __init__(self, n_features, n_components):
        super().__init__()
        self.to_code = nn.Linear(n_features, n_components)
        self.to_row = nn.Linear(n_components, n_features)
        self.dropout = nn.Dropout(0.2)

    def encode(self, x):
        return self.to_code(self.dropout(x))

    def decode(self, z):
        return self.to_row(z)

    def forward(self, x):
        return self.decode(self.encode(x))


class NoDecoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 2)

    def encode(self, x):
        return self.layer(x)


class WrongRows(Own):
    def decode(self, z):
        return torch.cat([super().decode(z)] * 2, dim=1)


class TwoCodes(Own):
    def encode(self, x):
        z = super().encode(x)
        return z, z


class WithoutForward(nn.Module):
    """Batch norm, extra state, an in-place step, a frozen integer; no `forward`."""

    def __init__(self, n_features, n_components):
        super().__init__()
        self.norm = nn.BatchNorm1d(n_features)
        self.to_code = nn.Linear(n_features, n_components)
        self.to_row = nn.Linear(n_components, n_features)
        self.count = nn.Parameter(torch.zeros((), dtype=torch.int64), False)

    def encode(self, x):
        return self.to_code(self.norm(x.clamp_(-5, 0.5)))

    def decode(self, z):
        return self.to_row(z)

    def get_extra_state(self):
        return {"note": "kept"}

    def set_extra_state(self, state):
        assert state == {"note": "kept"}


class WrongCodes(Own):
    def encode(self, x):
        return super().encode(x)[:, :, None]


def own_for_six():
    return Own(6, 3)


class ByHeart(nn.Module):
    """Gives each row that it knows a code of no meaning, and back the row."""

    def __init__(self, rows):
        super().__init__()
        self.register_buffer("rows", rows)
        self.register_buffer("code", torch.arange(len(rows)) * 0.618 % 1)
        self.unused = nn.Parameter(torch.zeros(()))

    def encode(self, x):
        return self.code[torch.cdist(x, self.rows).argmin(dim=1)][:, None]

    def decode(self, z):
        nearest = (z - self.code).abs().argmin(dim=1)
        return self.rows[nearest] + 0 * self.unused


class Convolutions(nn.Module):
    """A small convolutional module of images of 8 x 8."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, 4, 3, stride=2), nn.Flatten())
        self.decoder = nn.Linear(36, 64)

    def encode(self, x):
        return self.encoder(x.reshape(-1, 1, 8, 8))

    def decode(self, z):
        return self.decoder(z)
