"""Self-attention by regions at the cost of flash attention: a bias between regions, and where attention goes.

The N x N attention map is never made. The attention mass that a query sends to each region is its attention
times the regions' indicator columns: these are appended to the values and read off the output. A bias
`m_i^T W m_j` between the regions m of two tokens has the rank of W: `m W` is appended to the queries, `m` to
the keys. Both run inside `scaled_dot_product_attention`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F

from mildbench.method import AttentionRecord, Painting

Attended = tuple[torch.Tensor, torch.Tensor | None]


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    maps: torch.Tensor | None = None,
    weights: torch.Tensor | None = None,
    labels: torch.Tensor | None = None,
) -> Attended:
    """Scaled dot-product attention with a region bias, and the attention masses of regions.

    Args:
        query, key, value: float[B, heads, N, D].
        maps: float[B, N, R], how much of each token is of each region; with `weights`.
        weights: float[R, R] or [B, R, R]: entry [r, s] is added to the logits from region r to region s.
        labels: float[B, N, S] of 0 and 1, the regions whose masses are wanted; differentiable like the rest.

    Returns:
        The output float[B, heads, N, D]; and float[B, N, S], the share of each token's attention that goes to
        each region, averaged over the heads (None without `labels`). Where a region is empty, the bias and
        the masses are zero.
    """
    heads, width = query.shape[1], query.shape[3]
    bias = maps.shape[-1] if maps is not None and weights is not None else 0
    extra = max(bias, 0 if labels is None else labels.shape[-1])
    if not extra:
        return F.scaled_dot_product_attention(query, key, value), None
    scale = width**-0.5
    # Flash kernels want one width for all three, a multiple of 8.
    columns = extra + -(width + extra) % 8
    if bias:
        assert maps is not None
        assert weights is not None
        maps = maps.to(query.dtype)
        query = _append(query, maps @ (weights / scale).to(query.dtype), columns)
        key = _append(key, maps, columns)
    else:
        query, key = F.pad(query, (0, columns)), F.pad(key, (0, columns))
    value = F.pad(value, (0, columns)) if labels is None else _append(value, labels, columns)
    out = F.scaled_dot_product_attention(query, key, value, scale=scale)
    if labels is None:
        return out[..., :width], None
    return out[..., :width], out[..., width : width + labels.shape[-1]].sum(1) / heads


def _append(tensor: torch.Tensor, columns: torch.Tensor, total: int) -> torch.Tensor:
    """float[B, heads, N, D] with float[B, N, C] appended for every head, and zeros up to D + `total`."""
    padded = F.pad(columns.to(tensor.dtype), (0, total - columns.shape[-1]))
    return torch.cat([tensor, padded[:, None].expand(-1, tensor.shape[1], -1, -1)], dim=-1)


class Grid(NamedTuple):
    """How the attention layers of a network see a picture: latents at most, and perhaps the prompt before them."""

    height: int
    """Of the latents."""
    width: int
    text: int = 0
    """Tokens of the prompt, which come first where picture and prompt are one stream."""

    def shape(self, tokens: int) -> tuple[int, int]:
        """Rows and columns of the picture's in a layer of so many tokens; raises ValueError for one there cannot be."""
        height, width, wanted = self.height, self.width, tokens - self.text
        while height * width > wanted > 0:
            height, width = -(-height // 2), -(-width // 2)
        if height * width != wanted:
            raise ValueError(f"no level of a network over {self} has {tokens} tokens")
        return height, width


class RegionMaps:
    """Soft regions of P pathways at every resolution of a network.

    `maps` is float[P, R, h, w] at the latents' resolution or finer, for example the share of each pixel that
    belongs to each region. Tokens of the prompt belong to none of them: they are a region of their own, which no bias
    touches, and which is never counted as background.
    """

    def __init__(self, maps: torch.Tensor, grid: Grid) -> None:
        self._maps = maps
        self.grid = grid
        self._at: dict[int, torch.Tensor] = {}

    def at(self, tokens: int) -> torch.Tensor:
        """float[P, N, R] for a layer of N tokens; raises ValueError where no level of the network has N tokens."""
        if tokens not in self._at:
            averaged = F.adaptive_avg_pool2d(self._maps, self.grid.shape(tokens))
            flat = self._of(averaged).flatten(2).transpose(1, 2)
            self._at[tokens] = F.pad(flat, (0, 0, self.grid.text, 0)).contiguous()
        return self._at[tokens]

    def _of(self, averaged: torch.Tensor) -> torch.Tensor:
        return averaged


class RegionLabels(RegionMaps):
    """The same as 0 or 1: a token belongs to the region that covers `threshold` of it, or to none."""

    threshold = 0.9

    def _of(self, averaged: torch.Tensor) -> torch.Tensor:
        return (averaged >= self.threshold).to(averaged.dtype)


class Modulation(Protocol):
    """What a method does to self-attention."""

    def attend(
        self,
        layer: str,
        time: torch.Tensor,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        labels: torch.Tensor | None,
    ) -> Attended:
        """As the function `attend`, in the layer named `layer` at `time` float32[B] (1 is noise, 0 the picture).

        Sees the conditional half of classifier-free guidance only: B is the number of pathways.
        """
        ...


class Recorder:
    """Collects attention masses by region while a batch of pathways is denoised.

    Args:
        labels: regions of each sample, float[B, S, h, w] as in `RegionLabels`.
        grid: how the layers see the pictures.
        pathways: P pairs of the pathway's sample (a number) and its name.
        people: people in each sample; regions beyond a sample's own are padding.
        shown: float[P, 1, h, w], what each pathway is shown of its input; None: nothing is told of paintings.
        erased: float[B, 1, h, w], the erase mask of each sample; with `shown`.
    """

    def __init__(
        self,
        labels: torch.Tensor,
        grid: Grid,
        pathways: Sequence[tuple[int, str]],
        people: Sequence[int],
        shown: torch.Tensor | None = None,
        erased: torch.Tensor | None = None,
    ) -> None:
        self._labels = RegionLabels(labels, grid)
        self._pathways = pathways
        self._samples = torch.tensor([sample for sample, _ in pathways], device=labels.device)
        self._rows = slice(0, len(pathways))
        self._people = people
        self._entries: list[tuple[str, float, torch.Tensor, torch.Tensor]] = []
        self._grid = grid
        self._shown = None if shown is None else RegionLabels(shown, grid)
        self._unmarked = None if erased is None else RegionLabels(1 - erased, grid)
        self._looks: dict[str, tuple[int, torch.Tensor]] = {}

    def part(self, rows: slice) -> Recorder:
        """A recorder of some of the pathways, without entries; for those that are denoised apart from the others."""
        part = copy(self)
        part._rows, part._entries, part._looks = rows, [], {}
        return part

    def collect(self, parts: Sequence[Recorder]) -> None:
        """Take what the parts have recorded, which are all pathways in their order, in the same layers and steps."""
        for entries in zip(*(part._entries for part in parts), strict=True):
            layer, time, *_ = entries[0]
            rows, counts = (torch.cat(each) for each in zip(*(entry[2:] for entry in entries), strict=True))
            self._entries.append((layer, time, rows, counts))
        for layer, (passes, _) in parts[0]._looks.items():
            self._looks[layer] = passes, torch.cat([part._looks[layer][1] for part in parts])

    def columns(self, tokens: int) -> torch.Tensor:
        """float[P, N, C], whose masses `add` takes: the regions, and the same as far as the pathway is shown them."""
        labels = self._regions(tokens)
        if self._shown is None:
            return labels
        return torch.cat([labels, labels * self._shown.at(tokens)[self._rows]], dim=-1)

    def _regions(self, tokens: int) -> torch.Tensor:
        """float[P, N, S]: kept by sample, for every pathway of a crowd has as many regions as there are people."""
        return self._labels.at(tokens)[self._samples[self._rows]]

    def add(self, layer: str, time: torch.Tensor, masses: torch.Tensor) -> None:
        """Take the masses float[P, N, C] of a layer's `columns` at `time`, one for all pathways.

        Only those of the picture's tokens count, and of these what does not go to the prompt.
        """
        labels = self._regions(masses.shape[1])[:, self._grid.text :]
        counts = labels.sum(1)
        masses = masses[:, self._grid.text :].detach().float()
        if self._shown is not None:
            passes, total = self._looks.get(layer, (0, torch.zeros(())))
            self._looks[layer] = passes + 1, total.to(masses.device) + masses[..., labels.shape[-1] :]
            masses = masses[..., : labels.shape[-1]]
        sums = labels.transpose(1, 2).float() @ masses
        # An empty region's row is 0 / 0: NaN, as the record says.
        rows = sums / sums.sum(-1, keepdim=True)
        self._entries.append((layer, float(time[0]), rows, counts))

    def records(
        self, painted: torch.Tensor | None = None, boxes: Callable[[int, int], np.ndarray] | None = None
    ) -> tuple[AttentionRecord, ...]:
        """One record a sample.

        Args:
            painted: float[P, 1, h, w], where in the erase mask the picture that is returned is the pathway's; None:
                records without paintings.
            boxes: rows and columns of a grid of tokens -> `Painting.boxes` of all of them, float32[N, 4].
        """
        looks = None if painted is None or boxes is None else self._painting(painted, boxes)
        layers = [layer for layer, *_ in self._entries]
        times = [time for _, time, *_ in self._entries]
        rows = torch.stack([rows for *_, rows, _ in self._entries]).float().cpu().numpy()
        counts = torch.stack([counts for *_, counts in self._entries]).int().cpu().numpy()
        found = []
        for sample, people in enumerate(self._people):
            mine = [number for number, (of, _) in enumerate(self._pathways) if of == sample]
            size = people + 1
            found.append(
                AttentionRecord(
                    layers=tuple(layer for layer in layers for _ in mine),
                    pathways=tuple(self._pathways[number][1] for _ in layers for number in mine),
                    timesteps=np.repeat(np.array(times, np.float32), len(mine)),
                    masses=rows[:, mine, :size, :size].reshape(-1, size, size),
                    tokens=counts[:, mine, :size].reshape(-1, size),
                    painting=None if looks is None else _part(looks, self._pathways, mine, size),
                )
            )
        return tuple(found)

    def _painting(self, painted: torch.Tensor, boxes: Callable[[int, int], np.ndarray]) -> list[_Look]:
        """What every layer's tokens looked at, layer by layer."""
        assert self._unmarked is not None, "paintings need `erased`"
        where = RegionLabels(painted, self._grid)
        found = []
        text = self._grid.text
        for layer, (passes, total) in self._looks.items():
            count = text + total.shape[1]
            known = (self._labels.at(count) * self._unmarked.at(count)).sum(1).int()[self._samples]
            found.append(
                _Look(
                    layer,
                    where.at(count)[:, text:, 0].bool().cpu().numpy(),
                    boxes(*self._grid.shape(count)),
                    (total / passes).cpu().numpy(),
                    known.cpu().numpy(),
                )
            )
        return found


@dataclass(frozen=True, eq=False)
class _Look:
    """One layer of all pathways."""

    layer: str
    painted: np.ndarray
    """bool[P, N]."""
    boxes: np.ndarray
    """float32[N, 4]."""
    masses: np.ndarray
    """float32[P, N, S]."""
    known: np.ndarray
    """int32[P, S]."""


def _part(
    looks: Sequence[_Look], pathways: Sequence[tuple[int, str]], mine: Sequence[int], size: int
) -> Painting:
    """The painting of one sample: of its pathways, and of as many regions as it has."""
    entries = [(look, place) for look in looks for place in mine]
    return Painting(
        layers=tuple(look.layer for look, _ in entries),
        pathways=tuple(pathways[place][1] for _, place in entries),
        boxes=tuple(look.boxes[look.painted[place]] for look, place in entries),
        masses=tuple(look.masses[place][look.painted[place], :size] for look, place in entries),
        known=np.stack([look.known[place, :size] for look, place in entries]),
    )


@dataclass(eq=False)
class _Now:
    """What the layers are to do in the current forward pass."""

    time: torch.Tensor
    modulation: Modulation | None
    recorder: Recorder | None


@dataclass(eq=False)
class RegionAttention:
    """Computes the attention of a backbone's layers; without anything to do, what the network did before.

    A backbone calls it from every layer of self-attention, or of attention over prompt and picture in one stream.
    """

    layers: list[str] = field(default_factory=list)
    """Names of the layers' modules."""
    now: _Now | None = None

    @contextmanager
    def during(
        self, time: torch.Tensor, modulation: Modulation | None, recorder: Recorder | None
    ) -> Iterator[None]:
        """Within it, forward passes are modulated and recorded.

        `time` is float32[P] on the CPU, one for each pathway. With classifier-free guidance the batch is twice
        as long, the conditional half last; only that half is touched.
        """
        self.now = _Now(time, modulation, recorder)
        try:
            yield
        finally:
            self.now = None

    def attend(self, layer: str, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """The output float[B, heads, N, D] of a layer whose query, key and value are of that shape."""
        now = self.now
        if now is None or (now.modulation is None and now.recorder is None):
            return attend(query, key, value)[0]
        first = len(query) - len(now.time)
        q, k, v = query[first:], key[first:], value[first:]
        labels = None if now.recorder is None else now.recorder.columns(q.shape[2])
        if now.modulation is None:
            out, masses = attend(q, k, v, labels=labels)
        else:
            out, masses = now.modulation.attend(layer, now.time, q, k, v, labels)
        if now.recorder is not None:
            assert masses is not None
            now.recorder.add(layer, now.time, masses)
        if first:
            out = torch.cat([attend(query[:first], key[:first], value[:first])[0], out])
        return out
