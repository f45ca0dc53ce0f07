# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Public names in the text, such as ``build_pool``, lead to the reference."""

from __future__ import annotations

import re
from typing import Any

import public_names
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

# Words such as `audit` are commands and folders as well: only names that are no plain words, or that are called.
_NAME = re.compile(r"(?:[a-z_]+\.)*(\w+)(\(.*\))?", re.DOTALL)
_TELLING = re.compile(r"[A-Z_(.]")


class LinkedNames(SphinxPostTransform):
    """Wraps a literal that is one public name into a link to its entry."""

    default_priority = 700
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        homes = public_names.homes()
        objects = self.env.domains.python_domain.objects
        for literal in list(self.document.findall(nodes.literal)):
            match = _NAME.fullmatch(literal.astext())
            if match is None or not _TELLING.search(literal.astext()) or match[1] not in homes or _is_linked(literal):
                continue
            entry = objects.get(homes[match[1]])
            if entry is not None:
                shown = literal.deepcopy()
                link = make_refnode(self.app.builder, self.env.docname, entry.docname, entry.node_id, shown)
                literal.replace_self(link)


def _is_linked(node: nodes.Node) -> bool:
    """Inside a link, a heading or the description of an object, whose own name would lead to itself."""
    while node := node.parent:
        if isinstance(node, (nodes.reference, nodes.title)) or node.tagname in ("desc_signature", "pending_xref"):
            return True
    return False


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_post_transform(LinkedNames)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
