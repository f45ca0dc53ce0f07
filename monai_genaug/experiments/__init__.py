# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Protocols that answer whether generated samples are good, and whether they help."""

from __future__ import annotations
