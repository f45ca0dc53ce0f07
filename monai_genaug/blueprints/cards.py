# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The papers of a bundle that nobody has measured yet: a short model card and a note on licences."""

from __future__ import annotations

from monai_genaug.generators.spec import GeneratorSpec

__all__ = ["licence_note", "model_card"]

_CARD = """# {name}

Makes images of {shape}, {channels}, values in [0, 1]{classes}. {network}, trained by monai_genaug.

![samples](samples.png)

## Use

```python
import monai_genaug as mg

generator = mg.load_generator("<this folder>")
samples = generator.sample(seeds=range(4){argument})
prepare = generator.preprocessing(["image"])   # brings images of your own into the generator's space
```

## Training data

{dataset}. Licence of the data: {data_licence}. `configs/generator.json` holds a hash of every preprocessed training
image, and salted hashes of what tells subjects apart.

```bash
python -m monai.bundle run --config_file configs/train.json --bundle_root . \\
    --dataset_dir <folder of the data> --output_dir <folder outside of the bundle>{datalist}
```

trains it again with the settings of `configs/train.json`; `configs/inference.json` writes samples as files.

## Figures

<!-- measured: begin -->
Not measured yet: nobody has checked whether samples show their class, cover the data, or repeat training images.
<!-- measured: end -->

Not for diagnosis.
"""

_DATALIST = " \\\n    --datalist <datalist.json of the run>"

_LICENCE = """The configs of this bundle were made by monai_genaug, which is under the Apache License, Version 2.0.

The weights in models/ and the pictures in docs/ are derived from the training data.
Licence of the data: {data}. Licence of the weights: {weights}.
NOASSERTION means that nobody has stated it: ask who made the bundle before you pass it on.
"""


def model_card(spec: GeneratorSpec, network: str, has_datalist: bool) -> str:
    """Markdown for ``docs/README.md``, with the marks between which figures are put when they are measured.

    Args:
        spec: what the generator makes.
        network: class name of the network.
        has_datalist: whether training needs the entry ``datalist``.
    """
    channels = spec.outputs["image"].channels
    names = list((spec.classes or {}).values())
    return _CARD.format(
        name=spec.name,
        shape=" x ".join(map(str, spec.spatial_shape)) + (" pixels" if len(spec.spatial_shape) == 2 else " voxels"),
        channels="one channel" if channels == 1 else f"{channels} channels",
        classes=f", of the classes {', '.join(names)}" if names else "",
        network=network,
        argument=f", class_label={names[0]!r}" if names else "",
        dataset=(spec.provenance.dataset if spec.provenance else "") or "Not stated",
        data_licence=spec.data_licence or "NOASSERTION",
        datalist=_DATALIST if has_datalist else "",
    )


def licence_note(spec: GeneratorSpec) -> str:
    """Text for ``LICENSE``."""
    return _LICENCE.format(data=spec.data_licence or "NOASSERTION", weights=spec.weights_licence or "NOASSERTION")
