"""Trains an adapter with Atelier and draws with it in Atelier and in diffusers: the pictures must be the same.

    python tests/lora_in_diffusers.py ATELIER MODEL

ATELIER: the program. MODEL: a diffusers folder of Stable Diffusion 1, 2 or XL; the tiny models of tests/reference do.
Both files that a training writes (kohya's form and diffusers') are loaded by diffusers' `load_lora_weights` at strength 1,
and each is compared with the picture that Atelier draws with it: the same prompt, seed, sampler (DDIM) and size. Prints
one line for each, with the largest and the mean difference of 8-bit levels, and beside it how much the adapter changes the
picture, which must be much more. Ends with 1 where a picture differs by more than 2 levels.

Needs: diffusers, transformers, peft, torch, numpy, pillow.
"""

import json
import os
import subprocess
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
from diffusers import DDIMScheduler, DiffusionPipeline
from PIL import Image

SIDE = 64
STEPS = 4
GUIDANCE = 3.0
SEED = 7
PROMPT = "a photo of a cat"
TOLERANCE = 2

SETTINGS = """
model = {model}
dataset = "pictures"
output = "out"
name = "adapter"
text_encoder = true
save_precision = "{precision}"
[lora]
rank = 4
alpha = 6.0
targets = "{targets}"
[pictures]
resolution = {side}
[steps]
steps = 4
[optimizer]
learning_rate = 5e-3
warmup_steps = 0
"""


def main():
    atelier, model = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    pipeline = DiffusionPipeline.from_pretrained(model, safety_checker=None)
    # Only clipping to -1..1, which no Stable Diffusion wants, is not in every model's configuration.
    pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config, clip_sample=False)
    pipeline.set_progress_bar_config(disable=True)
    with tempfile.TemporaryDirectory() as home:
        plain = by_atelier(atelier, model, home, None)
    worst = report("no adapter", by_diffusers(pipeline, None), plain, plain)
    for targets, precision in [("attention", "f32"), ("linear", "f32"), ("linear", "f16"), ("all", "f32")]:
        with tempfile.TemporaryDirectory() as home:
            for path in train(atelier, model, home, targets, precision):
                ours = by_atelier(atelier, model, home, path)
                name = f"{targets}, {precision}, {os.path.basename(path)}"
                worst = max(worst, report(name, by_diffusers(pipeline, path), ours, plain))
    sys.exit(worst > TOLERANCE)


def train(atelier, model, home, targets, precision):
    """Trains for a few steps on noise, and gives the files that were written."""
    random = np.random.default_rng(0)
    os.makedirs(f"{home}/pictures")
    for i in range(4):
        pixels = random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(f"{home}/pictures/{i}.png")
        with open(f"{home}/pictures/{i}.txt", "w") as file:
            file.write(f"a photo of a cat, number {i}")
    with open(f"{home}/train.toml", "w") as file:
        file.write(SETTINGS.format(model=json.dumps(model), targets=targets, precision=precision, side=SIDE))
    run = subprocess.run([atelier, "train", f"{home}/train.toml", "--json"], check=True, capture_output=True, text=True)
    return json.loads(run.stdout.splitlines()[-1])["files"]


def by_atelier(atelier, model, home, adapter):
    out = f"{home}/drawn.png"
    command = [atelier, "generate", PROMPT, "--model", model, "--size", f"{SIDE}x{SIDE}", "--steps", str(STEPS)]
    command += ["--guidance", str(GUIDANCE), "--sampler", "ddim", "--schedule", "automatic", "--seed", str(SEED)]
    command += ["--safety", "off", "--out", out] + (["--lora", f"{adapter}=1"] if adapter else [])
    environment = {**os.environ, "ATELIER_HOME": home}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return np.asarray(Image.open(out).convert("RGB")).astype(int)


def by_diffusers(pipeline, adapter):
    if adapter:
        folder, name = os.path.split(adapter)
        pipeline.load_lora_weights(folder, weight_name=name)
    generator = torch.Generator("cpu").manual_seed(SEED)
    with torch.no_grad():
        picture = pipeline(
            PROMPT,
            width=SIDE,
            height=SIDE,
            num_inference_steps=STEPS,
            guidance_scale=GUIDANCE,
            generator=generator,
            output_type="pil",
        ).images[0]
    if adapter:
        pipeline.unload_lora_weights()
    return np.asarray(picture).astype(int)


def report(name, theirs, ours, plain):
    difference, change = np.abs(theirs - ours), np.abs(ours - plain)
    print(
        f"{name}: differs by at most {difference.max()} levels, {difference.mean():.4f} on average;"
        f" the adapter changes the picture by {change.mean():.2f} on average",
        flush=True,
    )
    return int(difference.max())


if __name__ == "__main__":
    main()
