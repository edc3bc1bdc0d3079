"""DDM: a face becomes public maps and one small private map, and comes back from both (Sec. 3 and 5.1)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STRIDE = 16  # pixels of a patch per position of a map: four stride-2 convolutions
FAKE_BYTES = 4  # random bytes that one position of a fake private map is made of


@dataclass(frozen=True)
class DDMConfig:
    """Everything that decides the shapes of the network and the meaning of its weights."""

    widths: tuple[int, int, int] = (
        16,
        48,
        96,
    )  # channels at stride 2, 4 and 8: few where there are many pixels
    maps: int = 64  # feature maps at stride 16 (Sec. 5.1)
    one_in: int = 64  # one in so many features is private: 2 .. 2048 (Table 5)
    blocks: int = 3  # residual blocks between two stride-2 convolutions (Sec. 5.1)
    fake_range: float = 3.0  # a fresh fake private map is drawn from [-fake_range, fake_range] ...
    fake_margin: float = 0.5  # ... and nowhere within fake_margin of the true value
    fake: str = "fresh"  # what covers of this network are made with: that, or "noise" on the true map (Eq. 2)

    def __post_init__(self) -> None:
        if self.one_in not in {2**power for power in range(1, 12)}:
            raise ValueError(f"the private share is one in 2, 4, 8 ... 2048, not one in {self.one_in}")
        if self.one_in <= self.maps and self.maps % self.one_in:
            raise ValueError(f"{self.maps} maps have no {self.one_in}th part")
        if self.fake not in ("fresh", "noise"):
            raise ValueError(f"covers are made with a fresh map or with noise, not with {self.fake!r}")

    @property
    def private_maps(self) -> int:
        """Maps that hold private values: one when the share is below one map."""
        return max(self.maps // self.one_in, 1)

    @property
    def private_every(self) -> int:
        """One in so many positions of a private map is private: 1 unless the share is below one map."""
        return max(self.one_in // self.maps, 1)


class Residual(nn.Module):
    """x + conv(relu(conv(x))); it starts as the identity, so that depth costs nothing at first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.kaiming_normal_(self.first.weight)
        for still in (self.first.bias, self.second.weight, self.second.bias):
            nn.init.zeros_(still)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, H, W) -> the same shape."""
        more: Tensor = self.second(F.relu(self.first(x)))
        return x + more


def _residuals(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(Residual(width) for _ in range(count)))


class DDM(nn.Module):
    """The encryption model G_e: encoder e, split, decoder g (Eq. 3 and 4)."""

    def __init__(self, config: DDMConfig) -> None:
        super().__init__()
        self.config = config
        steps = (3, *config.widths, config.maps)
        self.down = nn.ModuleList(
            nn.Conv2d(before, after, 4, 2, 1) for before, after in itertools.pairwise(steps)
        )
        self.down_blocks = nn.ModuleList(_residuals(width, config.blocks) for width in config.widths)
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(before, after, 4, 2, 1)
            for before, after in zip(steps[::-1], steps[-2::-1], strict=False)
        )
        self.up_blocks = nn.ModuleList(_residuals(width, config.blocks) for width in config.widths[::-1])

    def features(self, x: Tensor) -> Tensor:
        """Image in 0..1 (B, 3, H, W), H and W multiples of 16 -> (B, maps, H/16, W/16)."""
        x = 2 * x - 1
        *downs, last = self.down
        for down, blocks in zip(downs, self.down_blocks, strict=True):
            x = blocks(down(x))
        code: Tensor = last(x)
        return code

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Image in 0..1 -> public and private maps (Eq. 3)."""
        return split(self.features(x), self.config)

    def decode(self, public: Tensor, private: Tensor) -> Tensor:
        """Public and private maps -> image whose good range is 0..1, not clamped (Eq. 4)."""
        return self.picture(join(public, private, self.config))

    def picture(self, x: Tensor) -> Tensor:
        """All maps -> image whose good range is 0..1."""
        *ups, last = self.up
        for up, blocks in zip(ups, self.up_blocks, strict=True):
            x = blocks(up(x))
        image: Tensor = (last(x) + 1) / 2
        return image


def private_mask(config: DDMConfig, height: int, width: int, like: Tensor) -> Tensor:
    """1 where a position of a private map is private, 0 where it stays public (1, 1, height, width).

    The private positions form a grid that starts at the upper left corner, so every patch has one at least.
    """
    doublings = config.private_every.bit_length() - 1
    mask = like.new_zeros(1, 1, height, width)
    mask[..., :: 2 ** (doublings // 2), :: 2 ** ((doublings + 1) // 2)] = 1
    return mask


def split(features: Tensor, config: DDMConfig) -> tuple[Tensor, Tensor]:
    """All maps -> public and private ones; a map that both share is in both, zero where not its own."""
    if config.private_every == 1:
        return features[:, : -config.private_maps], features[:, -config.private_maps :]
    mask = private_mask(config, features.shape[-2], features.shape[-1], features)
    shared = features[:, -1:]
    return torch.cat([features[:, :-1], shared * (1 - mask)], 1), shared * mask


def join(public: Tensor, private: Tensor, config: DDMConfig) -> Tensor:
    """The reverse of `split`; what lies outside the private positions of `private` is ignored."""
    if config.private_every == 1:
        return torch.cat([public, private], 1)
    mask = private_mask(config, public.shape[-2], public.shape[-1], public)
    return torch.cat([public[:, :-1], public[:, -1:] * (1 - mask) + private * mask], 1)


def private_values(private: Tensor, config: DDMConfig) -> Tensor:
    """The numbers that travel in the private file: (B, maps, h, w) -> (B, count)."""
    mask = private_mask(config, private.shape[-2], private.shape[-1], private)[0, 0] > 0
    return private[:, :, mask].flatten(1)


def private_from_values(values: Tensor, config: DDMConfig, height: int, width: int) -> Tensor:
    """The reverse of `private_values` for maps of height x width positions."""
    mask = private_mask(config, height, width, values)[0, 0] > 0
    private = values.new_zeros(len(values), config.private_maps, height, width)
    private[:, :, mask] = values.reshape(len(values), config.private_maps, -1)
    return private


def quantise(public: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Maps (B, C, h, w) -> codes 0..255 of the same shape, and per map the lowest value and the step (B, C).

    A code c stands for lowest + c * step. Both numbers are rounded to float16 first, since they travel so.
    """
    low = public.amin((2, 3)).half().float()
    step = ((public.amax((2, 3)) - low) / 255).half().float().clamp(min=2.0**-14)
    codes = ((public - low[..., None, None]) / step[..., None, None]).round().clamp(0, 255)
    return codes.to(torch.uint8), low, step


def dequantise(codes: Tensor, low: Tensor, step: Tensor) -> Tensor:
    """The maps that the decoder gets, from what `quantise` returned."""
    return low[..., None, None] + codes.float() * step[..., None, None]


def as_travelled(public: Tensor, private: Tensor) -> tuple[Tensor, Tensor]:
    """Both as they arrive, public through 8 bits, private through float16; gradients pass unchanged."""
    with torch.no_grad():
        public_error = dequantise(*quantise(public.float())) - public
        private_error = private.half().float() - private
    return public + public_error, private + private_error


def fake_from_uniform(private: Tensor, uniform: Tensor, config: DDMConfig) -> Tensor:
    """A fake private map from numbers in 0..1 of the same shape, kept away from the true one everywhere.

    Uniform over [-fake_range, fake_range] without the stretch within fake_margin of the true value: what lies
    above the gap's lower end is moved up by the gap's length, so no value is drawn twice or thrown away.
    """
    reach, margin = config.fake_range, config.fake_margin
    gap_low = (private - margin).clamp(-reach, reach)
    gap = (private + margin).clamp(-reach, reach) - gap_low
    fake = -reach + uniform * (2 * reach - gap)
    return torch.where(fake >= gap_low, fake + gap, fake)


def fake_private(private: Tensor, random: bytes, config: DDMConfig) -> Tensor:
    """The fresh fake private map of a deployed cover, made of FAKE_BYTES random bytes a position."""
    if len(random) != FAKE_BYTES * private.numel():
        raise ValueError(f"{private.numel()} positions need {FAKE_BYTES * private.numel()} random bytes")
    whole = torch.frombuffer(bytearray(random), dtype=torch.int32).double()
    uniform = ((whole + 2.0**31) / 2.0**32).reshape(private.shape)
    return fake_from_uniform(private.double(), uniform.to(private.device), config).to(private.dtype)


def pad(x: Tensor) -> Tensor:
    """The image with its last row and column repeated up to the next multiple of 16; crop after decoding."""
    height, width = x.shape[-2:]
    return F.pad(x, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")


class PositionDiscriminator(nn.Module):
    """Three stride-2 convolutions to one logit for every 8x8 pixels: no patch of a cover may look clean."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 1, 4, 2, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Image (B, 3, H, W) -> logits (B, 1, H/8, W/8), high for a recovered face."""
        logits: Tensor = self.layers(2 * x - 1)
        return logits


class PaperDiscriminator(nn.Module):
    """The paper's D: four stride-2 convolutions and two fully connected layers, one logit a picture."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        steps = (3, width, 2 * width, 4 * width, 4 * width)
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(steps):
            layers += [nn.Conv2d(before, after, 4, 2, 1), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(4)  # the paper has one size of picture; here any goes
        self.head = nn.Sequential(
            nn.Linear(16 * steps[-1], 4 * width), nn.LeakyReLU(0.2), nn.Linear(4 * width, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Image (B, 3, H, W) -> logits (B, 1), high for a recovered face."""
        logits: Tensor = self.head(self.pool(self.layers(2 * x - 1)).flatten(1))
        return logits


class ToyDDM(nn.Module):
    """The networks of the toy experiment (Sec. 6.1): points in the plane, 126 + 2 neurons."""

    def __init__(self, width: int = 128, private: int = 2) -> None:
        super().__init__()
        self.private = private
        self.encoder = nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, width))
        self.decoder = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2))
        layers: list[nn.Module] = [nn.Linear(2, width), nn.LeakyReLU(0.2)]
        for _ in range(3):
            layers += [nn.Linear(width, width), nn.LeakyReLU(0.2)]
        self.discriminator = nn.Sequential(*layers, nn.Linear(width, 1))  # five fully connected layers

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Points (N, 2) -> public (N, 126) and private (N, 2) neurons."""
        features = self.encoder(x)
        return features[:, : -self.private], features[:, -self.private :]

    def decode(self, public: Tensor, private: Tensor) -> Tensor:
        """The reverse of `encode`."""
        points: Tensor = self.decoder(torch.cat([public, private], 1))
        return points
