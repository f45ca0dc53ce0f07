# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Generative networks; calling one decodes codes into samples."""

from __future__ import annotations

from monai_genaug.networks.rhvae import RHVAE
from monai_genaug.networks.vae import VAE

__all__ = ["RHVAE", "VAE"]
