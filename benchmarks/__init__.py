# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What things cost. ``python -m benchmarks`` runs all of it, ``python -m benchmarks.NAME`` one script.

A benchmark is a module with ``rows(quick: bool = False) -> list[Row]``, see :mod:`benchmarks.timing`; ``quick`` shows
that it works, with sizes whose figures mean nothing. The first line of its docstring is the title of its table.
"""
