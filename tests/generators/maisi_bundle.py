# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A bundle with the items, files and habits of ``maisi_ct_generative``, and MONAI's own networks for it, at tiny size.

Its script is written here: it has the interface of the published one, and computes in single precision, on a CPU too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from monai.bundle import ConfigParser
from torch import nn

Config = dict[str, Any]

LABELS = {"liver": 1, "spleen": 3, "hepatic tumor": 26}
NETWORKS = {
    "autoencoder_def": "autoencoder.pt",
    "diffusion_unet_def": "diff_unet.pt",
    "controlnet_def": "controlnet.pt",
    "mask_generation_autoencoder_def": "mask_generation_autoencoder.pt",
    "mask_generation_diffusion_def": "mask_generation_diffusion_unet.pt",
}

SCRIPT = '''
import json
import os
import random
from datetime import datetime

import torch
from monai.data import MetaTensor
from monai.inferers import DiffusionInferer
from monai.transforms import LoadImage, Orientation, RandAffine, SaveImage
from monai.utils import set_determinism


def read(file):
    with open(file) as stream:
        return json.load(stream)


def check_input(body_region, anatomy_list, label_dict_json, output_size, spacing, controllable_anatomy_size):
    unknown = set(anatomy_list) - set(read(label_dict_json))
    if unknown:
        raise ValueError(f"unknown anatomy {sorted(unknown)}")


class LDMSampler:
    """A label map, deformed or generated; an image for it; both written, with the names returned."""

    def __init__(self, anatomy_list, controllable_anatomy_size, label_dict_json, random_seed=None, **parts):
        if random_seed is not None:
            set_determinism(seed=random_seed)
        self.__dict__.update(parts)
        self.sizes = dict(controllable_anatomy_size)
        self.wanted = [read(label_dict_json)[name] for name in self.sizes or anatomy_list]

    def sample_multiple_images(self, num_img):
        names = []
        for _ in range(num_img):
            labels = self.made_labels() if self.sizes else self.found_labels()
            names.append(self.write(self.image(labels), labels))
        return names

    def found_labels(self):
        files = [item["pseudo_label_filename"] for item in read(self.all_mask_files_json)]
        random.shuffle(files)
        labels = LoadImage(ensure_channel_first=True)(os.path.join(self.all_mask_files_base_dir, files[0]))
        labels = Orientation("RAS", labels=(("L", "R"), ("P", "A"), ("I", "S")))(labels)
        move = RandAffine(prob=1, translate_range=1, scale_range=0.1, mode="nearest", padding_mode="zeros")
        return move(labels).to(self.device)

    def made_labels(self):
        sizes = [self.sizes.get(name, -1.0) for name in ("gallbladder", "liver", "stomach", "pancreas", "colon",
                 "lung tumor", "pancreatic tumor", "hepatic tumor", "colon cancer primaries", "bone lesion")]
        scheduler = self.mask_generation_noise_scheduler
        scheduler.set_timesteps(self.mask_generation_num_inference_steps)
        z = DiffusionInferer(scheduler).sample(
            input_noise=torch.randn(1, *self.mask_generation_latent_shape).to(self.device),
            diffusion_model=self.mask_generation_diffusion_unet, scheduler=scheduler, verbose=False,
            conditioning=torch.tensor([[sizes]], device=self.device),
        )
        decoder = self.mask_generation_autoencoder
        indices = decoder.decode_stage_2_outputs(z / self.mask_generation_scale_factor).argmax(dim=1)
        labels = torch.zeros_like(indices, dtype=torch.float32)
        for index, label in read(self.label_dict_remap_json).values():
            labels[indices == index] = label
        return MetaTensor(labels, affine=torch.diag(torch.tensor([*self.spacing, 1.0])))

    def image(self, labels):
        bits = labels.as_tensor().long()[None] >> torch.arange(8, device=self.device).reshape(1, 8, 1, 1, 1) & 1
        z = torch.randn(1, *self.latent_shape).to(self.device)
        spacing = torch.tensor([self.spacing], device=self.device) * 100
        kind = torch.ones(1, dtype=torch.long, device=self.device)
        self.noise_scheduler.set_timesteps(self.num_inference_steps)
        for t in self.noise_scheduler.timesteps:
            step = torch.tensor([t], dtype=torch.float32, device=self.device)
            down, mid = self.controlnet(x=z, timesteps=step, controlnet_cond=bits.float(), class_labels=kind)
            flow = self.diffusion_unet(
                x=z, timesteps=step, spacing_tensor=spacing, class_labels=kind, down_block_additional_residuals=down,
                mid_block_additional_residual=mid,
            )
            z, _ = self.noise_scheduler.step(flow, t, z)
        image = self.autoencoder.decode_stage_2_outputs(z / self.scale_factor).clamp(0, 1)[0] * 2000 - 1000
        image[labels == 0] = -1000
        return image

    def write(self, image, labels):
        kept = torch.zeros_like(labels)
        for number, label in enumerate(self.wanted, 1):
            kept[labels == label] = number
        labels.meta["filename_or_obj"] = "sample.nii.gz"
        postfix = datetime.now().strftime("%H%M%S_%f")
        names = []
        for what, volume, ext in (("image", image, self.image_output_ext), ("label", kept, self.label_output_ext)):
            SaveImage(
                output_dir=self.output_dir, output_postfix=f"{postfix}_{what}", output_ext=ext, separate_folder=False,
                print_log=False,
            )(MetaTensor(volume, meta=labels.meta))
            names.append(os.path.join(self.output_dir, f"sample_{postfix}_{what}{ext}"))
        return names
'''


def maisi_config(size: int = 16) -> Config:
    """``configs/inference.json`` with the ids of the published one."""
    networks = "monai.apps.generation.maisi.networks"
    blocks = {"num_channels": [4, 8], "attention_levels": [False, True], "num_head_channels": [0, 4],
              "num_res_blocks": 1, "norm_num_groups": 2, "num_class_embeds": 128, "resblock_updown": True,
              "include_fc": True}  # fmt: skip
    autoencoder = {
        "_target_": f"{networks}.autoencoderkl_maisi.AutoencoderKlMaisi", "spatial_dims": "@spatial_dims",
        "latent_channels": "@latent_channels", "num_channels": [4, 4, 4], "num_res_blocks": [1, 1, 1],
        "norm_num_groups": 2, "attention_levels": [False, False, False], "num_splits": 1, "dim_split": 1,
    }  # fmt: skip
    sampled = (
        "body_region", "anatomy_list", "all_mask_files_json", "all_anatomy_size_condtions_json",
        "all_mask_files_base_dir", "label_dict_json", "label_dict_remap_json", "autoencoder", "diffusion_unet",
        "controlnet", "scale_factor", "noise_scheduler", "mask_generation_autoencoder",
        "mask_generation_diffusion_unet", "mask_generation_scale_factor", "mask_generation_noise_scheduler",
        "controllable_anatomy_size", "image_output_ext", "label_output_ext", "device", "latent_shape",
        "mask_generation_latent_shape", "output_size", "spacing", "output_dir", "num_inference_steps",
        "mask_generation_num_inference_steps", "random_seed",
    )  # fmt: skip
    loads = ("load_diffusion", "load_autoencoder", "copy_controlnet_state", "load_controlnet",
             "load_mask_generation_autoencoder", "load_mask_generation_diffusion", "check_input")  # fmt: skip
    return {
        "imports": ["$import torch", "$from pathlib import Path", "$import scripts"],
        "bundle_root": ".",
        "model_dir": "$@bundle_root + '/models'",
        "output_dir": "$@bundle_root + '/output'",
        "create_output_dir": "$Path(@output_dir).mkdir(exist_ok=True)",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "trained_autoencoder_path": "$@model_dir + '/autoencoder.pt'",
        "trained_diffusion_path": "$@model_dir + '/diff_unet.pt'",
        "trained_controlnet_path": "$@model_dir + '/controlnet.pt'",
        "trained_mask_generation_autoencoder_path": "$@model_dir + '/mask_generation_autoencoder.pt'",
        "trained_mask_generation_diffusion_path": "$@model_dir + '/mask_generation_diffusion_unet.pt'",
        "all_mask_files_base_dir": "$@bundle_root + '/datasets/all_masks'",
        "all_mask_files_json": "$@bundle_root + '/configs/candidate_masks.json'",
        "all_anatomy_size_condtions_json": "$@bundle_root + '/configs/all_anatomy_size_condtions.json'",
        "label_dict_json": "$@bundle_root + '/configs/label_dict.json'",
        "label_dict_remap_json": "$@bundle_root + '/configs/label_dict_124_to_132.json'",
        "num_output_samples": 3,
        "body_region": [],
        "anatomy_list": ["liver", "hepatic tumor"],
        "controllable_anatomy_size": [],
        "num_inference_steps": 2,
        "mask_generation_num_inference_steps": 2,
        "random_seed": 10,
        "spatial_dims": 3,
        "image_channels": 1,
        "latent_channels": 4,
        "output_size_xy": size,
        "output_size_z": size,
        "output_size": ["@output_size_xy", "@output_size_xy", "@output_size_z"],
        "image_output_ext": ".nii.gz",
        "label_output_ext": ".nii.gz",
        "spacing_xy": 1.5,
        "spacing_z": 2.0,
        "spacing": ["@spacing_xy", "@spacing_xy", "@spacing_z"],
        "latent_shape": ["@latent_channels", *[f"$@output_size[{axis}]//4" for axis in range(3)]],
        "mask_generation_latent_shape": [4, *[size // 4] * 3],
        "autoencoder_def": {**autoencoder, "in_channels": "@image_channels", "out_channels": "@image_channels"},
        "diffusion_unet_def": {
            "_target_": f"{networks}.diffusion_model_unet_maisi.DiffusionModelUNetMaisi",
            "spatial_dims": "@spatial_dims", "in_channels": "@latent_channels", "out_channels": "@latent_channels",
            "include_spacing_input": True, **blocks,
        },
        "controlnet_def": {
            "_target_": f"{networks}.controlnet_maisi.ControlNetMaisi",
            "spatial_dims": "@spatial_dims", "in_channels": "@latent_channels",
            "conditioning_embedding_in_channels": 8, "conditioning_embedding_num_channels": [4, 4, 4], **blocks,
        },
        "mask_generation_autoencoder_def": {**autoencoder, "in_channels": 8, "out_channels": len(LABELS) + 1},
        "mask_generation_diffusion_def": {
            "_target_": "monai.networks.nets.diffusion_model_unet.DiffusionModelUNet",
            "spatial_dims": "@spatial_dims", "in_channels": "@latent_channels", "out_channels": "@latent_channels",
            "channels": [4, 8], "attention_levels": [False, True], "num_head_channels": [0, 4], "num_res_blocks": 1,
            "norm_num_groups": 2, "with_conditioning": True, "cross_attention_dim": 10,
        },
        **_loading("autoencoder", "autoencoder", "@checkpoint_autoencoder"),
        **_loading("diffusion_unet", "diffusion", "@checkpoint_diffusion_unet['unet_state_dict']"),
        "copy_controlnet_state": "$monai.networks.utils.copy_model_state(@controlnet, @diffusion_unet.state_dict())",
        **_loading("controlnet", "controlnet", "@checkpoint_controlnet['controlnet_state_dict'], strict=True"),
        "scale_factor": "$@checkpoint_diffusion_unet['scale_factor'].to(@device)",
        **_loading(
            "mask_generation_autoencoder", "mask_generation_autoencoder",
            "@checkpoint_mask_generation_autoencoder, strict=True",
        ),
        **_loading(
            "mask_generation_diffusion_unet", "mask_generation_diffusion",
            "@checkpoint_mask_generation_diffusion_unet['unet_state_dict'], strict=True",
        ),
        "mask_generation_scale_factor": "$@checkpoint_mask_generation_diffusion_unet['scale_factor']",
        "noise_scheduler": {
            "_target_": "monai.networks.schedulers.RFlowScheduler", "num_train_timesteps": 1000,
            "use_discrete_timesteps": False, "sample_method": "logit-normal",
        },
        "mask_generation_noise_scheduler": {
            "_target_": "monai.networks.schedulers.ddpm.DDPMScheduler", "num_train_timesteps": 1000,
            "beta_start": 0.0015, "beta_end": 0.0195, "schedule": "scaled_linear_beta", "clip_sample": False,
        },
        "check_input": (
            "$scripts.sample.check_input(@body_region,@anatomy_list,@label_dict_json,@output_size,@spacing,"
            "@controllable_anatomy_size)"
        ),
        "ldm_sampler": {
            "_target_": "scripts.sample.LDMSampler",
            "_requires_": [f"@{id_}" for id_ in ("create_output_dir", *loads)],
            **{id_: f"@{id_}" for id_ in sampled},
        },
        "run": [
            "$monai.utils.set_determinism(seed=@random_seed)",
            "$@ldm_sampler.sample_multiple_images(@num_output_samples)",
        ],
        "evaluator": None,
    }  # fmt: skip


def _loading(network: str, name: str, state: str) -> Config:
    """The items that build one network and load its weights."""
    definition = f"mask_generation_{name.removeprefix('mask_generation_')}" if name.startswith("mask") else network
    return {
        network: f"$@{definition}_def.to(@device)",
        f"checkpoint_{network}": f"$torch.load(@trained_{name}_path, weights_only=False)",
        f"load_{name}": f"$@{network}.load_state_dict({state})",
    }


def write_maisi_bundle(
    folder: Path,
    size: int = 16,
    script: str = SCRIPT,
    saved: Mapping[str, Callable[[Config], Config]] | None = None,
    **changes: Any,
) -> Path:
    """Writes the bundle, with random weights.

    Args:
        folder: to be made.
        size: voxels per axis, a multiple of 8.
        script: the text of ``scripts/sample.py``.
        saved: id of a network -> what becomes of its state dict before it is saved.
        changes: items of the config instead of those of :func:`maisi_config`.
    """
    config = {**maisi_config(size), **changes}
    for name in ("configs", "models", "scripts", "datasets/all_masks"):
        (folder / name).mkdir(parents=True)
    masks = [_write_mask(folder / "datasets" / "all_masks" / f"mask{i}.nii.gz", size, i) for i in range(3)]
    remap = {name: [index, label] for index, (name, label) in enumerate(LABELS.items(), 1)}
    image = {"type": "image", "num_channels": 1, "spatial_shape": [512] * 3, "value_range": [0, 1]}
    for file, content in {
        "inference": config,
        "candidate_masks": [{"pseudo_label_filename": name} for name in masks],
        "label_dict": LABELS,
        "label_dict_124_to_132": remap,
        "metadata": {"version": "1.0.0", "autoencoder_data_format": {"outputs": {"pred": image}}},
    }.items():
        (folder / "configs" / f"{file}.json").write_text(json.dumps(content))
    (folder / "scripts" / "__init__.py").write_text("from . import sample\n")
    (folder / "scripts" / "sample.py").write_text(script)
    (folder / "LICENSE").write_text("Apache License\nVersion 2.0, January 2004\n\nand another one for the weights\n")
    for seed, (id_, file) in enumerate(NETWORKS.items()):
        state = (saved or {}).get(id_, dict)(_weights(maisi_part(config, id_), seed))
        torch.save(_checkpoint(id_, state), folder / "models" / file)
    return folder


def maisi_part(config: Config, id_: str) -> Any:
    """A network, untrained, or a scheduler."""
    return ConfigParser({key: value for key, value in config.items() if key != "imports"}).get_parsed_content(id_)


def _checkpoint(id_: str, state: Config) -> Config:
    """Weights as the trainers of these networks write them."""
    if id_ == "controlnet_def":
        return {"controlnet_state_dict": state, "epoch": 3}
    return {"unet_state_dict": state, "scale_factor": torch.tensor(1.1)} if "diffusion" in id_ else state


def _weights(network: nn.Module, seed: int) -> Config:
    generator = torch.Generator().manual_seed(seed)
    return {
        key: torch.randn(value.shape, generator=generator) * 0.3 + (0.3 if value.ndim == 1 else 0.0)
        for key, value in network.state_dict().items()
    }


def _write_mask(path: Path, size: int, number: int) -> str:
    """A label map of three organs in a body, with the first axis from right to left."""
    labels = np.zeros((size, size, size), dtype=np.uint8)
    half = size // 2
    labels[1:-1, 1:-1, 1:-1] = 200
    labels[1:half, 1:half, 1 + number : -1] = LABELS["liver"]
    labels[2 : half - 1, 2 : half - 1, half - 1 : half + 1] = LABELS["hepatic tumor"]
    labels[half + 1 : -1, half + 1 : -1, 1:half] = LABELS["spleen"]
    nib.save(nib.Nifti1Image(labels, np.diag([-1.5, 1.5, 2.0, 1.0])), path)
    return path.name
