"""Times another program's parts of Stable Diffusion 1.5 at 512 x 512 px, for `atelier bench --peer`.

    python benches/peers.py PEER MODEL PART

PEER: torch-f32, torch-bf16, openvino-f32, openvino-bf16 or openvino-int8 (post-training quantization by NNCF on random
data: its pictures change). MODEL: a diffusers folder. PART: text, step, guided-step, decode or encode. Prints one line of
JSON: the fastest of three runs after one that does not count, in seconds, and the most memory in GB.

Needs: diffusers, transformers, torch; openvino and nncf for those peers.
"""

import json
import os
import resource
import sys
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel

RUNS = 3
BATCH = {"step": 1, "guided-step": 2}


class Part(torch.nn.Module):
    """One call of a model's part, with plain tensors in and out, so that it can be traced."""

    def __init__(self, model, part, dtype):
        super().__init__()
        self.part = part
        if part in BATCH:
            self.net = UNet2DConditionModel.from_pretrained(f"{model}/unet", torch_dtype=dtype)
        elif part == "text":
            self.net = CLIPTextModel.from_pretrained(f"{model}/text_encoder", torch_dtype=dtype)
        else:
            self.net = AutoencoderKL.from_pretrained(f"{model}/vae", torch_dtype=dtype)
        self.eval()

    def example(self, dtype):
        if self.part in BATCH:
            batch = BATCH[self.part]
            return (torch.randn(batch, 4, 64, 64, dtype=dtype), torch.tensor([500]), torch.randn(batch, 77, 768, dtype=dtype))
        if self.part == "text":
            return (torch.randint(0, 49407, (1, 77)),)
        side = {"decode": (1, 4, 64, 64), "encode": (1, 3, 512, 512)}[self.part]
        return (torch.randn(*side, dtype=dtype),)

    def forward(self, *args):
        if self.part in BATCH:
            return self.net(args[0], args[1], encoder_hidden_states=args[2], return_dict=False)[0]
        if self.part == "text":
            return self.net(args[0])[0]
        if self.part == "decode":
            return self.net.decode(args[0], return_dict=False)[0]
        return self.net.encode(args[0]).latent_dist.mean


def fastest(work):
    work()
    best = float("inf")
    for _ in range(RUNS):
        begun = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begun)
    return best


def with_torch(model, part, precision):
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[precision]
    net = Part(model, part, dtype)
    inputs = net.example(dtype)
    if part != "text":
        net = net.to(memory_format=torch.channels_last)
        inputs = tuple(x.to(memory_format=torch.channels_last) if x.dim() == 4 else x for x in inputs)
    return fastest(lambda: net(*inputs))


def with_openvino(model, part, precision, threads):
    import openvino

    net = Part(model, part, torch.float32)
    example = net.example(torch.float32)
    graph = openvino.convert_model(net, example_input=example, input=[list(x.shape) for x in example])
    del net
    inputs = [x.numpy() for x in example]
    if precision == "int8":
        import nncf

        kind = nncf.ModelType.TRANSFORMER
        graph = nncf.quantize(graph, nncf.Dataset([inputs]), subset_size=1, model_type=kind)
    options = {
        "INFERENCE_PRECISION_HINT": "f32" if precision == "f32" else "bf16",
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = openvino.Core().compile_model(graph, "CPU", options).create_infer_request()
    return fastest(lambda: request.infer(inputs))


def main():
    peer, model, part = sys.argv[1:4]
    name, precision = peer.split("-")
    threads = int(os.environ.get("RAYON_NUM_THREADS") or os.cpu_count())
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    torch.manual_seed(0)
    if name == "torch":
        seconds = with_torch(model, part, precision)
    else:
        seconds = with_openvino(model, part, precision, threads)
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps({"peer": peer, "part": part, "best_s": seconds, "peak_gb": peak_gb}))


main()
