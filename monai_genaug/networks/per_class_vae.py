# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""One unconditional VAE per class, as one conditional network."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from monai_genaug.latent import ClassWiseLatent, LatentDistribution
from monai_genaug.networks.joint_vae import JointVAE
from monai_genaug.networks.latent_autoencoder import LatentAutoencoder
from monai_genaug.networks.rhvae import RHVAE
from monai_genaug.networks.vae import VAE

__all__ = ["PerClassVAE"]

_Rows = list[tuple[int, Tensor]]  # number of a batch, and the rows in it that are meant
_KINDS: dict[str, type[VAE]] = {"VAE": VAE, "RHVAE": RHVAE, "JointVAE": JointVAE}


class PerClassVAE(LatentAutoencoder):
    """One unconditional VAE per class (Chadebec et al., arXiv 2105.00026, section 5; Le Roux, section 2.4).

    The classes share nothing: each member learns, is fitted and is sampled on its own class alone. They form one
    network, with one training run and one weights file. For generators that exist already there is
    :class:`~monai_genaug.generators.PerClassGenerator`.

    Args:
        n_classes: number of classes, 2 and more.
        kind: ``"VAE"``, ``"RHVAE"`` or ``"JointVAE"``.
        arguments: of each member, by keyword.

    Raises:
        ValueError: a value that is not allowed.
    """

    def __init__(self, n_classes: int, kind: str, **arguments: Any) -> None:
        if kind not in _KINDS:
            raise ValueError(f"kind is {kind!r}, allowed: {tuple(_KINDS)}.")
        if n_classes < 2:
            raise ValueError(f"n_classes is {n_classes}, allowed: 2 and more.")
        members = [_KINDS[kind](**copy.deepcopy(arguments)) for _ in range(n_classes)]
        one = members[0]
        super().__init__(
            one.spatial_dims,
            one.spatial_shape,
            one.image_channels,
            one.mask_classes,
            one.latent_dim,
            n_classes,
            _MemberLatents([member.latent for member in members]),
        )
        self.likelihood = one.likelihood
        self.members = nn.ModuleList(members)

    @property
    def noise_dim(self) -> int:
        """See :meth:`LatentAutoencoder.noise_dim`."""
        return self._member(0).noise_dim

    def forward(self, code: Tensor) -> Tensor:
        """Decodes each code by the member of its class, the largest entry of the one-hot part."""
        z, one_hot = self._split_code(code)
        return self._routed(one_hot, lambda member, rows: member(z[rows]))

    def decoded_mean(self, code: Tensor) -> Tensor:
        """See :meth:`LatentAutoencoder.decoded_mean`."""
        z, one_hot = self._split_code(code)
        return self._routed(one_hot, lambda member, rows: member.decoded_mean(z[rows]))

    def encode(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """See :meth:`LatentAutoencoder.encode`."""
        own = self._without_planes(x)
        return self._routed(
            self._class_planes(x), lambda member, rows: member.encode(own[rows], None if noise is None else noise[rows])
        )

    def elbo(
        self, x: Tensor, observed: Tensor | None = None, generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """See :meth:`LatentAutoencoder.elbo`: the mean over items of what each one's member gives.

        The only item of its class in a batch is normalised by the running statistics of its member.
        """
        own = self._without_planes(x)
        total: dict[str, Tensor] = {}
        for k, rows in self._groups(self._class_planes(x)):
            member = self._member(k)
            with _enough_statistics(member, len(rows)):
                terms = member.elbo(own[rows], None if observed is None else observed[rows], generator)
            for name, value in terms.items():
                share = value * (len(rows) / len(x))
                total[name] = total[name] + share if name in total else share
        return total

    @torch.no_grad()
    def fit_generation(self, x: Sequence[Tensor], held_out: Sequence[Tensor]) -> None:
        """Fits each member to its class.

        Raises:
            ValueError: a class with less than two items in ``x``; nothing is fitted then.
        """
        of_x, of_held_out = self._by_class(x), self._by_class(held_out)
        counts = [sum(len(rows) for _, rows in where) for where in of_x]
        if min(counts) < 2:
            raise ValueError(f"the classes have {counts} training items, needed: 2 and more of each.")
        channels = self.image_channels + self.mask_classes
        for k in range(self.n_classes):
            own, others = _OfClass(x, of_x[k], channels), _OfClass(held_out, of_held_out[k], channels)
            self._member(k).fit_generation(own, others)
        self.latent.spread = torch.stack([self._member(k).latent.spread for k in range(self.n_classes)]).mean(dim=0)

    def _routed(self, one_hot: Tensor, run: Any) -> Tensor:
        """What the members give for their rows, in the order of the rows."""
        groups = list(self._groups(one_hot))
        order = torch.cat([rows for _, rows in groups]).argsort()
        return torch.cat([run(self._member(k), rows) for k, rows in groups])[order]

    def _groups(self, one_hot: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Each class that is there, and its rows."""
        classes = one_hot.argmax(dim=1)
        for k in classes.unique().tolist():
            yield k, (classes == k).nonzero().flatten()

    def _by_class(self, batches: Sequence[Tensor]) -> list[_Rows]:
        """For each class, where its items are; every batch is looked at once."""
        found: list[_Rows] = [[] for _ in range(self.n_classes)]
        for number, batch in enumerate(batches):
            for k, rows in self._groups(self._class_planes(batch)):
                found[k].append((number, rows))
        return found

    def _without_planes(self, x: Tensor) -> Tensor:
        return x[:, : self.image_channels + self.mask_classes]

    def _member(self, k: int) -> VAE:
        member = self.members[k]
        assert isinstance(member, VAE)
        return member


class _OfClass(Sequence[Tensor]):
    """The items of one class, batch by batch as they are asked for, without their class planes."""

    def __init__(self, batches: Sequence[Tensor], rows: _Rows, n_channels: int) -> None:
        self.batches, self.rows, self.n_channels = batches, rows, n_channels

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        batch, rows = self.rows[index]
        return self.batches[batch][rows, : self.n_channels]


@contextmanager
def _enough_statistics(member: VAE, count: int) -> Iterator[None]:
    """Batch norms of a member use their running statistics for a single item, which has none of its own."""
    norms = [norm for norm in member.modules() if isinstance(norm, _BatchNorm) and norm.training]
    for norm in norms if count == 1 else []:
        norm.eval()
    try:
        yield
    finally:
        for norm in norms:
            norm.train()


class _MemberLatents(ClassWiseLatent):
    """The members' distributions, as one; they stay the members' own, who hold their state."""

    def __init__(self, members: Sequence[LatentDistribution]) -> None:
        LatentDistribution.__init__(self, members[0].latent_dim)
        self.supports_truncation = members[0].supports_truncation  # type: ignore[misc]  # as its members do
        self.members = tuple(members)  # no ModuleList: not this module's state

    def fit(self, codes: Tensor, *, classes: Tensor | None = None) -> None:
        """Not here: :meth:`PerClassVAE.fit_generation` has each member fit its own."""
        raise NotImplementedError("the members fit their own distributions")
