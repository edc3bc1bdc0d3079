"""What decides the shapes of DeepObfuscator's networks; readable without torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

# Where eyes, nose and mouth corners lie on the training pictures, as shares of width and height: the median
# of what the detector finds on UTKFace's aligned crops.
UTKFACE_TEMPLATE = ((0.297, 0.290), (0.700, 0.291), (0.497, 0.527), (0.313, 0.697), (0.679, 0.698))


@dataclass(frozen=True)
class Attribute:
    """Something that is true of a face: its name, and what the answers are called."""

    name: str
    classes: tuple[str, ...]

    @property
    def outputs(self) -> int:
        """Numbers that a classifier says about it: one behind a sigmoid (Eq. 1) for two classes."""
        return 1 if len(self.classes) == 2 else len(self.classes)


@dataclass(frozen=True)
class ObfuscatorConfig:
    """Everything that decides the shapes of the networks and the meaning of their weights."""

    tasks: tuple[Attribute, ...]
    private: tuple[Attribute, ...]
    height: int = 112
    width: int = 112
    widths: tuple[int, int] = (8, 16)  # channels before the first and the second pooling; the latter leave
    head: tuple[int, int, int] = (16, 32, 48)  # channels of the classifier's three blocks
    hidden: int = 128  # of its two fully connected layers
    # The paper's obfuscator sees 16 px at once, and the rest is the service's work. Where the features are
    # bounded, the client must know the whole face to choose what to say: channels of a path that does.
    context: int = 32
    # Features leave as a point in a ball of this radius plus noise of unit variance; 0: as they are.
    reach: float = 2.75
    template: tuple[tuple[float, float], ...] = UTKFACE_TEMPLATE  # how a face is laid on the picture

    @property
    def features(self) -> tuple[int, int, int]:
        """Channels, rows and columns of what leaves the client."""
        return self.widths[1], self.height // 4, self.width // 4

    @property
    def bits(self) -> float:
        """What features can tell anybody about a photo at most; infinite without noise.

        The Kullback-Leibler divergence between N(m, 1) and N(0, 1) is |m|^2 / 2 nats, and its mean over
        photos bounds the mutual information of photo and features.
        """
        return self.reach**2 / 2 / math.log(2) if self.reach else math.inf


def paper_config(tasks: tuple[Attribute, ...], private: tuple[Attribute, ...]) -> ObfuscatorConfig:
    """Table 1 as published: 218x178 pixels to 54x44x128 features."""
    return ObfuscatorConfig(tasks, private, 218, 178, (64, 128), (256, 512, 512), 4096, 0, 0.0)
