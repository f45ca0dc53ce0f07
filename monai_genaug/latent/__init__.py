# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Distributions of the latent code z, each a pure function of the seeds."""

from __future__ import annotations
