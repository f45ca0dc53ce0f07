# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Bundles that write their samples: the reading, and a bundle with MAISI's networks and habits."""

from __future__ import annotations

import pickle
import tempfile
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from nibabel.orientations import aff2axcodes

from monai_genaug.generators import MonaiBundleGenerator, load_generator
from monai_genaug.generators.global_random_state import own_random_state
from monai_genaug.generators.seeding import derive_seed
from monai_genaug.generators.zoo_written_files import read_written
from monai_genaug.weights import MissingWeightsError, WeightsMismatchError
from tests.generators.maisi_bundle import NETWORKS, SCRIPT, maisi_config, maisi_part, write_maisi_bundle
from tests.generators.zoo_bundles import files_in

NAME = "maisi_ct_generative"
GENERATED = {"controllable_anatomy_size": [["spleen", 0.5], ["liver", 0.2], ["hepatic tumor", 0.9]]}


def load(folder: Path, **options: Any) -> MonaiBundleGenerator:
    generator = load_generator(folder, trust=True, **options)
    assert isinstance(generator, MonaiBundleGenerator)
    return generator


def write_volume(path: Path, axes: str = "RAS") -> np.ndarray[Any, Any]:
    """Writes a volume whose voxels are all different, and returns it with axes to the right, the front and up."""
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    affine = np.diag([*[1.0 if code in "RAS" else -1.0 for code in axes], 1.0])
    nib.save(nib.Nifti1Image(values, affine), path)
    return np.asarray(values[tuple(slice(None, None, 1 if code in "RAS" else -1) for code in axes)])


class TestReading:
    @pytest.mark.parametrize("axes", ["RAS", "LAS", "LPI"])
    def test_volumes_are_turned_to_the_orientation_that_is_asked_for(self, tmp_path: Path, axes: str) -> None:
        expected = write_volume(tmp_path / "a.nii.gz", axes)
        made = read_written(["a.nii.gz"], {}, tmp_path, "RAS")
        assert list(made) == ["image"]
        assert made["image"].shape == (1, 1, 2, 3, 4)
        assert np.array_equal(made["image"][0, 0], expected)
        as_written = read_written(["a.nii.gz"], {}, tmp_path, None)["image"]
        assert torch.equal(as_written, made["image"]) == (axes == "RAS")

    def test_items_are_names_or_hold_them(self, tmp_path: Path) -> None:
        for name in ("a.nii", "b.nii"):
            write_volume(tmp_path / name)
        full = str(tmp_path / "a.nii")
        for made, where in (
            ("a.nii", {}),
            (Path("a.nii"), {}),
            ([full, "b.nii"], {}),
            ([[full, "b.nii"], ["b.nii", "none"]], {"image": 0, "mask": 1}),
            ({"i": full, "m": "b.nii"}, {"image": "i", "mask": "m"}),
            (({"i": full, "m": "b.nii"},), {"image": "i", "mask": "m"}),
        ):
            volumes = read_written(made, where, tmp_path, None)
            assert list(volumes) == (list(where) or ["image"])
            assert all(volume.shape == (1, 1, 2, 3, 4) for volume in volumes.values())

    def test_pictures_are_read_rows_first(self, tmp_path: Path) -> None:
        from PIL import Image

        pixels = np.arange(6, dtype=np.uint8).reshape(2, 3)
        Image.fromarray(pixels).save(tmp_path / "a.png")
        assert np.array_equal(read_written("a.png", {}, tmp_path, None)["image"][0, 0], pixels)

    @pytest.mark.parametrize(
        ("made", "message"),
        [
            ([], r"the sample is \[\]"),
            (None, "the sample is None"),
            ([torch.ones(1)], "the sample is Tensor"),
            (["none.nii"], r"returned 'none.nii', but wrote \['a.nii'\]"),
            (["../b.nii"], "outside of the temporary folder"),
        ],
    )
    def test_what_was_not_written_there_is_refused(self, tmp_path: Path, made: Any, message: str) -> None:
        folder = tmp_path / "folder"
        folder.mkdir()
        write_volume(folder / "a.nii")
        write_volume(tmp_path / "b.nii")
        with pytest.raises(ValueError, match=message):
            read_written(made, {}, folder, None)


class TestMaisi:
    def test_spec_follows_the_bundle_s_config(self, tmp_path: Path) -> None:
        folder = write_maisi_bundle(tmp_path / NAME)
        spec = load(folder).spec
        assert list(spec.outputs) == ["image", "mask"]
        assert spec.outputs["image"].value_range == spec.intensity_range == (-1000, 1000)
        assert spec.outputs["mask"].class_names == ("background", "liver", "hepatic tumor")
        assert (spec.spatial_shape, spec.spacing, spec.orientation) == ((16, 16, 16), (1.5, 1.5, 2.0), "RAS")
        assert (spec.modality, spec.anatomy, spec.reproducible_batches) == ("CT", "liver, hepatic tumor", False)
        assert spec.weights_licence != "Apache-2.0"
        changed = load(folder, recipe={"overrides": {**GENERATED, "output_size_z": 8, "spacing_z": 3.0,
                                                     "mask_generation_latent_shape": [4, 4, 4, 2]}}).spec  # fmt: skip
        assert changed.outputs["mask"].class_names == ("background", "spleen", "liver", "hepatic tumor")
        assert (changed.spatial_shape, changed.spacing) == ((16, 16, 8), (1.5, 1.5, 3.0))
        assert changed.sha256 != spec.sha256

    @pytest.mark.parametrize("overrides", [{}, GENERATED], ids=["found masks", "generated masks"])
    def test_samples_are_what_the_bundle_s_sampler_writes(self, tmp_path: Path, overrides: dict[str, Any]) -> None:
        folder = write_maisi_bundle(tmp_path / NAME)
        made = load(folder, recipe={"overrides": overrides}).sample([7, 2**63 - 1])
        assert made["mask"].dtype == torch.uint8
        assert set(made["mask"].unique().tolist()) == set(range(4 if overrides else 3))
        assert made["image"].std() > 100
        for index, seed in enumerate([7, 2**63 - 1]):
            image, mask = run_script(folder, tmp_path / f"out{seed}", seed, overrides)
            assert np.abs(made["image"][index, 0].numpy() - image).max() < 0.1
            assert np.array_equal(made["mask"][index, 0], mask)

    def test_a_sample_is_a_function_of_its_seed(self, tmp_path: Path) -> None:
        folder = write_maisi_bundle(tmp_path / NAME)
        seeds = [0, 5, 5 + 2**32, 2**63 - 1]
        for recipe in ({}, {"seed_id": None, "overrides": {"random_seed": None}}):  # seeded by itself, or by us
            generator = load(folder, recipe=recipe)
            made = generator.sample(seeds)
            for other in (generator, load(folder, recipe=recipe), pickle.loads(pickle.dumps(generator))):
                again = other.sample(seeds[::-1])
                assert all(torch.equal(again[name].flip(0), made[name]) for name in made)
            flat = made["image"].flatten(1)
            assert torch.cdist(flat, flat).fill_diagonal_(torch.inf).min() > 100
            assert len({mask.numpy().tobytes() for mask in made["mask"]}) > 1

    @pytest.mark.parametrize("breaks", [False, True])
    def test_nothing_is_written_that_stays(self, tmp_path: Path, monkeypatch: Any, breaks: bool) -> None:
        script = SCRIPT.replace("        return names\n", "        raise OSError('no')\n") if breaks else SCRIPT
        folder = write_maisi_bundle(tmp_path / NAME, script=script)
        before = files_in(folder)
        for name in ("cwd", "temporary"):
            (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / "cwd")
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
        if breaks:
            with pytest.raises(ValueError, match=r"cannot be used(?s:.*) <- no "):
                load(folder)
        else:
            load(folder).sample([1, 2])
        assert files_in(folder) == before
        assert not list((tmp_path / "cwd").iterdir()) + list((tmp_path / "temporary").iterdir())

    def test_trust_is_needed(self, tmp_path: Path) -> None:
        folder = write_maisi_bundle(tmp_path / NAME, script="raise RuntimeError('was run')")
        with pytest.raises(ValueError, match="trust=True") as caught:
            load_generator(folder)
        assert "scripts/sample.py" in str(caught.value)
        assert "scripts.sample.LDMSampler" in str(caught.value)

    @pytest.mark.parametrize("id_", NETWORKS)
    def test_weights_of_every_network_must_fit(self, tmp_path: Path, id_: str) -> None:
        renamed = {id_: lambda state: {f"other.{key}": value for key, value in state.items()}}
        folder = write_maisi_bundle(tmp_path / NAME, saved=renamed)
        with pytest.raises(ValueError, match=r"cannot be used(?s:.*)(in loading state_dict|got no weights)"):
            load(folder)
        (folder / "models" / NETWORKS[id_]).unlink()
        with pytest.raises(MissingWeightsError, match=NETWORKS[id_]):
            load(folder)

    def test_weights_that_are_loaded_in_part_are_refused(self, tmp_path: Path) -> None:
        loading = "$@controlnet.load_state_dict(@checkpoint_controlnet['controlnet_state_dict'], strict=False)"
        fewer = {"controlnet_def": lambda state: dict(list(state.items())[:-1])}
        folder = write_maisi_bundle(tmp_path / NAME, saved=fewer, load_controlnet=loading, copy_controlnet_state=None)
        with pytest.raises(WeightsMismatchError, match="1 tensors got no weights"):
            load(folder)

    def test_label_maps_that_are_not_unpacked_are_named(self, tmp_path: Path) -> None:
        folder = write_maisi_bundle(tmp_path / NAME)
        (folder / "datasets" / "all_masks").rename(folder / "datasets" / "elsewhere")
        with pytest.raises(ValueError, match=r"No such file or directory: .*datasets/all_masks"):
            load(folder)
        load(folder, recipe={"overrides": GENERATED})

    def test_a_bundle_that_writes_elsewhere_is_refused(self, tmp_path: Path) -> None:
        script = SCRIPT.replace("self.output_dir", repr(str(tmp_path / "elsewhere")))
        with pytest.raises(ValueError, match="outside of the temporary folder"):
            load(write_maisi_bundle(tmp_path / NAME, script=script))


def run_script(
    folder: Path, out: Path, seed: int, overrides: dict[str, Any]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The bundle's sampler called by hand: networks, weights and arguments without reading the config's expressions."""
    config = {**maisi_config(), **overrides}
    out.mkdir()
    networks = {id_: maisi_part(config, id_).eval() for id_ in NETWORKS}
    for id_, network in networks.items():
        checkpoint = torch.load(folder / "models" / NETWORKS[id_], weights_only=True)
        states = [value for value in checkpoint.values() if isinstance(value, dict)]
        network.load_state_dict(states[0] if states else checkpoint)
    names: dict[str, Any] = {}
    exec(SCRIPT, names)
    schedulers = {id_: maisi_part(config, id_) for id_ in ("noise_scheduler", "mask_generation_noise_scheduler")}
    with own_random_state(seed, torch.device("cpu")), torch.no_grad():
        sampler = names["LDMSampler"](
            config["anatomy_list"], config["controllable_anatomy_size"], folder / "configs" / "label_dict.json",
            random_seed=derive_seed("random_seed", seed) % 2**32, device=torch.device("cpu"), output_dir=str(out),
            all_mask_files_json=folder / "configs" / "candidate_masks.json", spacing=[1.5, 1.5, 2.0],
            all_mask_files_base_dir=folder / "datasets" / "all_masks", image_output_ext=".nii", label_output_ext=".nii",
            label_dict_remap_json=folder / "configs" / "label_dict_124_to_132.json", num_inference_steps=2,
            mask_generation_num_inference_steps=2, latent_shape=[4, 4, 4, 4], mask_generation_latent_shape=[4, 4, 4, 4],
            scale_factor=torch.tensor(1.1), mask_generation_scale_factor=torch.tensor(1.1), **schedulers,
            **{id_.removesuffix("_def").replace("mask_generation_diffusion", "mask_generation_diffusion_unet"): network
               for id_, network in networks.items()},
        )  # fmt: skip
        ((image, mask),) = sampler.sample_multiple_images(1)
    volumes = [nib.load(path) for path in (image, mask)]
    assert all(aff2axcodes(volume.affine) == ("R", "A", "S") for volume in volumes)
    return volumes[0].get_fdata(), volumes[1].get_fdata()
