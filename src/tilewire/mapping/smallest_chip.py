"""The smallest homogeneous chip that carries link loads: one width per kind of port, and its device memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tilewire.hardware.fabric import PORTS, TileFabric

Ints = NDArray[np.int32]


class SmallestChip:
    """Width classes of a fabric and the device memory M as a function of their widths.

    A class is a set of links that a homogeneous chip gives one width; ``class_of`` int32 [links]. It starts as the links between the same
    kinds of unit that leave by the same port, since M counts every unit of a kind at the widest; classes that M never counts apart are
    joined (all corner and edge routers of a Mosaic, all sides of a tile output). So M of any loads is

        M(w) = devices of the chip whose class k has w_k channels,   w_k = max of the loads of class k

    M never falls when a width rises. ``tile_out_sized``: tile outputs count at what they carry, not at the width the chip gives them.
    """

    def __init__(self, fabric: TileFabric, tile_out_sized: bool) -> None:
        self.fabric, self.sized = fabric, tile_out_sized
        self._known: dict[bytes, int] = {}
        kinds = len(fabric.kinds)
        pair = fabric.kind[fabric.link_source].astype(np.int64) * kinds + fabric.kind[fabric.link_target]
        self._number(np.unique(pair * len(PORTS) + fabric.link_port, return_inverse=True)[1])
        self._number(self._joined()[self.class_of])

    def _number(self, label: NDArray[np.integer]) -> None:
        """Take the links with equal labels as the classes."""
        keys, index = np.unique(label, return_inverse=True)
        self.class_of, self.n_classes = index.astype(np.int32), int(keys.size)
        self.link_class = np.zeros(self.n_classes, np.int8)  # router, into a tile, out of a tile, as the fabric says
        self.link_class[self.class_of] = self.fabric.link_class
        self.top = self.widths(self.fabric.capacity)
        self.links = np.bincount(self.class_of, minlength=self.n_classes)
        self._known.clear()

    def _joined(self) -> Ints:
        """The first class that each class cannot be told from, int32 [classes], by probes of M.

        A class joined in error is counted too wide, so M stays a bound.
        """
        first = np.arange(self.n_classes, dtype=np.int32)
        grounds = np.zeros(self.n_classes, np.int32), 3 + 2 * first
        for k in range(self.n_classes):
            for j in np.unique(first[:k]):
                if self.link_class[j] == self.link_class[k] and all(self._same(ground, j, k) for ground in grounds):
                    first[k] = j
                    break
        return first

    def _same(self, ground: Ints, j: int, k: int) -> bool:
        """Whether M sees only the wider of two classes."""
        for x in (1, 5, 64):
            widths = []
            for a, b in ((x, 0), (0, x), (x, x)):
                width = ground.copy()
                width[j], width[k] = a, b
                widths.append(self.devices(width))
            if len(set(widths)) > 1:
                return False
        return True

    def widths(self, load: NDArray[np.integer]) -> Ints:
        """Widest load of each class, int32 [classes]."""
        width = np.zeros(self.n_classes, np.int32)
        np.maximum.at(width, self.class_of, load)
        return width

    def devices(self, width: Ints) -> int:
        """M of the chip with these widths, int32 [classes]."""
        key = width.tobytes()
        if key not in self._known:
            ports = self.fabric.widths_for(width[self.class_of], tile_out_sized=self.sized)
            self._known[key] = self.fabric.memory(ports).total
        return self._known[key]

    def floor(self) -> int:
        """M of a chip without channels: crossbars and whatever is always wired."""
        return self.devices(np.zeros(self.n_classes, np.int32))

    def closed(self, width: Ints) -> Ints:
        """The widest widths of the same M, class by class up to the chip's own: channels that cost nothing."""
        devices, wide = self.devices(width), width.copy()
        for k in range(self.n_classes):
            low, high = int(width[k]), max(int(self.top[k]), int(width[k]))
            while low < high:
                wide[k] = (low + high + 1) // 2
                low, high = (int(wide[k]), high) if self.devices(wide) == devices else (low, int(wide[k]) - 1)
            wide[k] = low
        return wide

    def marginal(self, width: Ints) -> NDArray[np.int64]:
        """Devices of one more channel in each class, int64 [classes]."""
        now = self.devices(width)
        one = np.eye(self.n_classes, dtype=np.int32)
        return np.array([self.devices(width + step) - now for step in one], np.int64)

    def roomy(self, width: Ints, limit: int) -> Ints:
        """Widths raised by one channel in turn, every class up to the chip's own, as long as M <= ``limit``; int32 [classes]."""
        wide, before = width.copy(), None
        while before is None or not np.array_equal(wide, before):
            before = wide.copy()
            for k in np.flatnonzero(wide < self.top):
                wide[k] += 1
                wide[k] -= self.devices(wide) > limit
        return wide

    def widest_inputs(self, limit: int) -> Ints:
        """Widths of the tile inputs alone that M <= ``limit`` pays for, raised one by one where a channel of a link is cheapest.

        int32 [classes], 0 elsewhere: what the branches of a chip are bounded by, since each enters its tile by a channel.
        """
        width = np.zeros(self.n_classes, np.int32)
        while True:
            after = self.devices(width) + self.marginal(width)
            open_ = np.flatnonzero((self.link_class == 1) & (width < self.top) & (after <= limit))
            if not open_.size:
                return width
            width[open_[np.argmin(after[open_] / self.links[open_])]] += 1
