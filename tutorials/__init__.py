# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Notebooks for users, and what executes them. ``python -m tutorials`` runs them and writes their outputs."""
