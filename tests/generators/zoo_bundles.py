# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Small bundles with the layout of the MONAI model zoo, as somebody else would write them: random weights, no file
of ours."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from monai.bundle import ConfigParser
from torch import nn

Config = dict[str, Any]

GAN_SCRIPT = '''
import torch
from torch import nn

WHO = "{who}"


class Decoder(nn.Module):
    """Reads a latent code; what it makes says which bundle's scripts these are."""

    def __init__(self, latent_size, size):
        super().__init__()
        self.size = size
        self.layer = nn.Linear(latent_size, size * size)

    def forward(self, z):
        from scripts.offset import OFFSET  # found only while the bundle's folder is on the path

        return self.layer(z).reshape(-1, 1, self.size, self.size) + OFFSET
'''

LDM_SCRIPT = '''
import torch


class LDMSampler:
    """Takes the steps of the scheduler and decodes."""

    @torch.no_grad()
    def sampling_fn(self, input_noise, autoencoder_model, diffusion_model, scheduler, conditioning=None):
        image = input_noise
        if conditioning is not None:
            cond = conditioning.squeeze(1)
            cond = cond.reshape(*cond.shape, *([1] * (image.ndim - 2)))
            cond = cond.expand(-1, -1, *image.shape[2:])
        for t in scheduler.timesteps:
            inputs = image if conditioning is None else torch.cat((image, cond), dim=1)
            step = torch.Tensor((t,)).to(image.device).long()
            output = diffusion_model(inputs, timesteps=step, context=conditioning)
            image, _ = scheduler.step(output, t, image)
        return autoencoder_model.decode_stage_2_outputs(image)

    def run(self, input_noise, autoencoder_model, diffusion_model, scheduler, saver, conditioning=None):
        saver(self.sampling_fn(input_noise, autoencoder_model, diffusion_model, scheduler, conditioning)[0])
'''


def gan_config(spatial_dims: int = 2, size: int = 8, channels: int = 1) -> Config:
    """As ``mednist_gan``: a list of uniform latent codes, an evaluator, a sigmoid and a saver afterwards."""
    start = size // 2
    return {
        "imports": ["$import glob"],
        "bundle_root": ".",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "ckpt_path": "$@bundle_root + '/models/model.pt'",
        "output_dir": "./outputs",
        "latent_size": 6,
        "num_samples": 10,
        "network_def": {
            "_target_": "Generator",
            "latent_shape": "@latent_size",
            "start_shape": [8, *[start] * spatial_dims],
            "channels": [8, channels],
            "strides": [2, 1],
        },
        "network": "$@network_def.to(@device)",
        "dataset": {
            "_target_": "Dataset",
            "data": "$[torch.rand(@latent_size) for i in range(@num_samples)]",
        },
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1},
        "inferer": {"_target_": "SimpleInferer"},
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "Activationsd", "keys": "pred", "sigmoid": True},
                {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir", "output_ext": "png"},
            ],
        },
        "handlers": [{"_target_": "CheckpointLoader", "load_path": "@ckpt_path", "load_dict": {"model": "@network"}}],
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
            "prepare_batch": "$lambda batchdata, *_,**__: (batchdata.to(@device),None,(),{})",
            "val_handlers": "@handlers",
        },
        "initialize": ["$monai.utils.set_determinism(123)", "$open(@bundle_root + '/initialized', 'w')"],
        "inferring": ["$@evaluator.run()", "$open(@bundle_root + '/ran', 'w')"],
    }


def script_gan_config(size: int = 8) -> Config:
    """A GAN whose network is in the bundle's own ``scripts``, and that reads normal codes."""
    config = gan_config(2, size)
    config["imports"].append("$import scripts")
    config["network_def"] = {"_target_": "scripts.nets.Decoder", "latent_size": "@latent_size", "size": size}
    config["dataset"]["data"] = "$[{'image': torch.randn(@latent_size)} for i in range(@num_samples)]"
    del config["evaluator"]["prepare_batch"]
    return config


def ldm_config(spatial_dims: int = 2, latent: int = 4, scheduler: str = "DDIMScheduler", old: bool = False) -> Config:
    """As the BraTS bundles: two networks, a sampler in ``scripts``, an expression that is the sample."""
    package, channels = ("generative", "num_channels") if old else ("monai", "channels")
    return {
        "imports": ["$import torch", "$from datetime import datetime", "$from pathlib import Path"],
        "bundle_root": ".",
        "model_dir": "$@bundle_root + '/models'",
        "output_dir": "$@bundle_root + '/output'",
        "create_output_dir": "$Path(@output_dir).mkdir(exist_ok=True)",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "output_postfix": "$datetime.now().strftime('sample_%Y%m%d_%H%M%S')",
        "spatial_dims": spatial_dims,
        "image_channels": 1,
        "latent_channels": 2,
        "latent_shape": ["@latent_channels", *[latent] * spatial_dims],
        "autoencoder_def": {
            "_target_": f"{package}.networks.nets.AutoencoderKL",
            "spatial_dims": "@spatial_dims",
            "in_channels": "@image_channels",
            "out_channels": "@image_channels",
            "latent_channels": "@latent_channels",
            channels: [4, 4],
            "num_res_blocks": 1,
            "norm_num_groups": 2,
            "attention_levels": [False, False],
            "with_encoder_nonlocal_attn": False,
            "with_decoder_nonlocal_attn": False,
        },
        "network_def": {
            "_target_": f"{package}.networks.nets.DiffusionModelUNet",
            "spatial_dims": "@spatial_dims",
            "in_channels": "@latent_channels",
            "out_channels": "@latent_channels",
            channels: [4, 8],
            "attention_levels": [False, True],
            "num_head_channels": [0, 4],
            "num_res_blocks": 1,
            "norm_num_groups": 2,
        },
        "load_autoencoder_path": "$@bundle_root + '/models/model_autoencoder.pt'",
        "load_autoencoder": "$@autoencoder_def.load_state_dict(torch.load(@load_autoencoder_path))",
        "autoencoder": "$@autoencoder_def.to(@device)",
        "load_diffusion_path": "$@model_dir + '/model.pt'",
        "load_diffusion": "$@network_def.load_state_dict(torch.load(@load_diffusion_path))",
        "diffusion": "$@network_def.to(@device)",
        "noise_scheduler": {
            "_target_": f"{package}.networks.schedulers.{scheduler}",
            "_requires_": ["@load_diffusion", "@load_autoencoder"],
            "num_train_timesteps": 1000,
            "beta_start": 0.0015,
            "beta_end": 0.0195,
            "schedule": "scaled_linear_beta",
        },
        "noise": "$torch.randn([1]+@latent_shape).to(@device)",
        "set_timesteps": "$@noise_scheduler.set_timesteps(num_inference_steps=3)",
        "inferer": {"_target_": "scripts.ldm_sampler.LDMSampler", "_requires_": "@set_timesteps"},
        "sample": "$@inferer.sampling_fn(@noise, @autoencoder, @diffusion, @noise_scheduler)",
        "saver": {
            "_target_": "SaveImage",
            "_requires_": "@create_output_dir",
            "output_dir": "@output_dir",
            "output_postfix": "@output_postfix",
        },
        "generated_image": "$@sample",
        "run": ["$@saver(@generated_image[0])"],
    }


def ddpm_config() -> Config:
    """As ``mednist_ddpm``: one network, no autoencoder, a function that samples, weights loaded by a statement."""
    return {
        "imports": ["$import os", "$import torch", "$import monai", "$import torch.distributed as dist"],
        "rank": "$dist.get_rank() if dist.is_initialized() else 0",
        "device": "$torch.device(f'cuda:{@rank}' if torch.cuda.is_available() else 'cpu')",
        "network_def": {
            "_target_": "monai.networks.nets.DiffusionModelUNet",
            "spatial_dims": 2,
            "in_channels": 1,
            "out_channels": 1,
            "channels": [4, 8],
            "attention_levels": [False, True],
            "num_res_blocks": 1,
            "num_head_channels": 4,
            "norm_num_groups": 2,
        },
        "network": "$@network_def.to(@device)",
        "bundle_root": ".",
        "ckpt_path": "$@bundle_root + '/models/model.pt'",
        "image_dim": 8,
        "num_train_timesteps": 4,
        "scheduler": {
            "_target_": "monai.networks.schedulers.DDPMScheduler",
            "num_train_timesteps": "@num_train_timesteps",
        },
        "inferer": {"_target_": "monai.inferers.DiffusionInferer", "scheduler": "@scheduler"},
        "noise": "$torch.rand(1,1,@image_dim,@image_dim)",
        "out_file": "",
        "sample": "$lambda x: @inferer.sample(input_noise=x, diffusion_model=@network, scheduler=@scheduler)",
        "load_state": "$@network.load_state_dict(torch.load(@ckpt_path, weights_only = True))",
        "testing": ["@load_state", "$torch.save(@sample(@noise.to(@device)), @out_file)"],
    }


def conditioned_config() -> Config:
    """As the brain bundle: conditions in [0, 1], an item ``sampler`` that is no generator, old checkpoints."""
    config = ldm_config(3)
    scheduler = config.pop("noise_scheduler")
    for name in ("inferer", "generated_image", "latent_shape"):
        del config[name]
    config.update(
        {
            "load_old": 1,
            "dataset": "",
            "evaluator": "",
            "inferer": "",
            "gender": 0.0,
            "age": 0.1,
            "ventricular_vol": 0.2,
            "brain_vol": 0.4,
            "conditioning": "$torch.tensor([[@gender, @age, @ventricular_vol, @brain_vol]]).to(@device).unsqueeze(1)",
            "diffusion_def": {
                **config.pop("network_def"),
                "in_channels": 6,
                "with_conditioning": True,
                "cross_attention_dim": 4,
            },
            "network_def": "@autoencoder_def",
            "load_autoencoder_func": (
                "$@autoencoder_def.load_old_state_dict if bool(@load_old) else @autoencoder_def.load_state_dict"
            ),
            "load_autoencoder": "$@load_autoencoder_func(torch.load(@load_autoencoder_path))",
            "load_diffusion": "$@diffusion_def.load_state_dict(torch.load(@load_diffusion_path))",
            "diffusion": "$@diffusion_def.to(@device)",
            "scheduler": scheduler,
            "noise": "$torch.randn((1, 2, 4, 4, 4)).to(@device)",
            "set_timesteps": "$@scheduler.set_timesteps(num_inference_steps=2)",
            "sampler": {"_target_": "scripts.ldm_sampler.LDMSampler", "_requires_": "@set_timesteps"},
            "sample": "$@sampler.sampling_fn(@noise, @autoencoder, @diffusion, @scheduler, @conditioning)",
            "run": "$@saver(@sample[0][0])",
        }
    )
    return config


def metadata(**changes: Any) -> Config:
    """What the zoo requires of ``metadata.json``, with an output of one channel in [0, 1]."""
    return {
        "version": "0.1.1",
        "monai_version": "1.4.0",
        "pytorch_version": "2.4.0",
        "numpy_version": "1.24.4",
        "task": "generate images",
        "description": "a test",
        "authors": "somebody else",
        "copyright": "Copyright (c) somebody else",
        "data_source": "a data set",
        "intended_use": "demonstration only",
        "network_data_format": {
            "inputs": {"latent": {"type": "tuples", "format": "latent", "num_channels": 0, "spatial_shape": [6]}},
            "outputs": {
                "pred": {
                    "type": "image",
                    "format": "magnitude",
                    "modality": "MR",
                    "num_channels": 1,
                    "spatial_shape": [8, 8],
                    "dtype": "float32",
                    "value_range": [0, 1],
                    "is_patch_data": False,
                }
            },
        },
        **changes,
    }


def write_zoo_bundle(
    folder: Path,
    config: Mapping[str, Any],
    networks: Mapping[str, str],
    scripts: Mapping[str, str] | None = None,
    meta: Mapping[str, Any] | None = None,
    as_yaml: bool = False,
    seed: int = 0,
    saved: Callable[[dict[str, Any]], Any] = dict,
) -> Path:
    """Writes a bundle.

    Args:
        folder: to be made.
        config: of sampling.
        networks: id of a network in the config -> name of its weights file.
        scripts: name of a module -> its text.
        meta: the metadata; None: :func:`metadata`.
        as_yaml: whether the config is YAML instead of JSON.
        seed: of the weights.
        saved: what is saved, from a state dict.
    """
    for name in ("configs", "models", "docs"):
        (folder / name).mkdir(parents=True)
    suffix, text = (".yaml", yaml.safe_dump(dict(config))) if as_yaml else (".json", json.dumps(config, indent=4))
    (folder / "configs" / f"inference{suffix}").write_text(text)
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata() if meta is None else meta))
    (folder / "LICENSE").write_text("Apache License\nVersion 2.0, January 2004\n")
    if scripts is not None:
        (folder / "scripts").mkdir()
        (folder / "scripts" / "__init__.py").touch()
        for name, text in scripts.items():
            (folder / "scripts" / f"{name}.py").write_text(text)
    for i, (id_, file) in enumerate(networks.items()):
        state = _weights(network_of(config, id_), seed + i)
        torch.save(saved(state), folder / "models" / file)
    return folder


def network_of(config: Mapping[str, Any], id_: str) -> nn.Module:
    """The network of a config, untrained; built without the bundle's scripts."""
    target = config[id_]["_target_"]
    if target.startswith("scripts."):
        values = {"latent_size": config["latent_size"], "size": config[id_]["size"]}
        network = nn.Module()
        network.layer = nn.Linear(values["latent_size"], values["size"] ** 2)
        return network
    plain = json.loads(json.dumps(dict(config)).replace("generative.", "monai.").replace("num_channels", "channels"))
    network_ = ConfigParser({k: v for k, v in plain.items() if k != "imports"}).get_parsed_content(id_)
    assert isinstance(network_, nn.Module)
    return network_


def _weights(network: nn.Module, seed: int) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(seed)
    state = network.state_dict()
    return {
        key: torch.randn(value.shape, generator=generator) * 0.3 + (0.5 if value.ndim == 1 else 0.0)
        if value.is_floating_point()
        else value
        for key, value in state.items()
    }


def zoo_gan(folder: Path, spatial_dims: int = 2, **options: Any) -> Path:
    """A GAN without scripts."""
    return write_zoo_bundle(folder, gan_config(spatial_dims), {"network_def": "model.pt"}, **options)


def script_gan(folder: Path, who: str, offset: float, seed: int = 0) -> Path:
    """A GAN with scripts that shadow those of another one."""
    scripts = {"nets": GAN_SCRIPT.format(who=who), "offset": f"OFFSET = {offset}\n"}
    return write_zoo_bundle(folder, script_gan_config(), {"network_def": "model.pt"}, scripts, seed=seed)


def zoo_diffusion(folder: Path, spatial_dims: int = 2, scheduler: str = "DDIMScheduler", **options: Any) -> Path:
    """Latent diffusion with scripts."""
    networks = {"autoencoder_def": "model_autoencoder.pt", "network_def": "model.pt"}
    config = {**ldm_config(spatial_dims, scheduler=scheduler), **options.pop("config", {})}
    scripts = options.pop("scripts", {"ldm_sampler": LDM_SCRIPT})
    return write_zoo_bundle(folder, config, networks, scripts, **options)


def files_in(folder: Path) -> Sequence[str]:
    """All files in a folder, to see that none was written."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
