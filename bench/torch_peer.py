"""Times the convolutions of the bench in PyTorch, for a comparison with our own figures.

Run it on a machine with CUDA and PyTorch; it needs no other file of this repository there:

    npm run bench -- --list-shapes shapes.json --batch 32     # anywhere
    python bench/torch_peer.py shapes.json torch.json         # on the machine with CUDA
    npm run bench -- --batch 32 --torch torch.json            # on the same GPU, through WebGPU

It times each convolution's forward pass, input gradient and weight gradient (a transposed convolution is an input gradient)
in fp32 without TF32, in TF32 and in bf16, and one training step of Sphere20 with CosFace at batch 256. Pictures are in the
channels-last layout, as ours are. Times are medians of CUDA events over several runs, after a warm-up in which cuDNN
chooses its algorithms.
"""

import argparse
import json
import statistics

import torch
import torch.nn.functional as F
from torch import nn

PRECISIONS = ("fp32", "tf32", "bf16")


def set_precision(precision):
    """Switches TF32; returns the type to compute in."""
    tf32 = precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    return torch.bfloat16 if precision == "bf16" else torch.float32


def median_ms(run, samples=15, target_ms=20.0):
    """Median milliseconds of one run. A sample has several runs, so that the cost of launching hardly counts."""
    for _ in range(5):
        run()
    torch.cuda.synchronize()

    def sample(runs):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(runs):
            run()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / runs

    runs = max(1, min(200, int(target_ms / max(sample(3), 1e-3))))
    return statistics.median(sample(runs) for _ in range(samples))


def conv_runner(shape, dtype):
    """A function that computes one result of one convolution."""
    n, cin, cout, groups = shape["batch"], shape["cin"], shape["cout"], shape["groups"]

    def picture(channels, size):
        values = torch.rand(n, channels, *size, device="cuda", dtype=dtype) - 0.5
        return values.contiguous(memory_format=torch.channels_last)

    input, output = picture(cin, shape["input"]), picture(cout, shape["output"])
    weights = torch.rand(cout, cin // groups, *shape["kernel"], device="cuda", dtype=dtype) - 0.5
    weights = weights.contiguous(memory_format=torch.channels_last)
    # PyTorch pads both sides alike. Where the stride skips the last row, the sizes are the same as without that padding.
    stride, padding = shape["stride"], shape["padding"]
    if shape["result"] == "output":
        if list(F.conv2d(input, weights, None, stride, padding, 1, groups).shape[2:]) != list(shape["output"]):
            raise ValueError(f"{shape['layer']}: the sizes do not fit")
        return lambda: F.conv2d(input, weights, None, stride, padding, 1, groups)
    mask = [shape["result"] == "input", shape["result"] == "weights", False]
    backward = torch.ops.aten.convolution_backward
    return lambda: backward(output, input, weights, None, stride, padding, [1, 1], False, [0, 0], groups, mask)


def time_shapes(shapes):
    rows = []
    for shape in shapes:
        milliseconds = {}
        for precision in PRECISIONS:
            milliseconds[precision] = median_ms(conv_runner(shape, set_precision(precision)))
        rows.append({**{key: shape[key] for key in ("kind", "layer", "batch")}, "milliseconds": milliseconds})
        print(f"{shape['kind']:26} {shape['layer']:42} {milliseconds}", flush=True)
    return rows


class Unit(nn.Module):
    """Two 3x3 convolutions with PReLU, and the input added."""

    def __init__(self, channels):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.PReLU(channels),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.PReLU(channels),
        )

    def forward(self, x):
        return x + self.body(x)


class Sphere20(nn.Module):
    """Liu et al. 2017, arXiv 1704.08063, table 2, for faces of 112x96."""

    def __init__(self):
        super().__init__()
        layers, inputs = [], 3
        for channels, units in ((64, 1), (128, 2), (256, 4), (512, 1)):
            layers += [nn.Conv2d(inputs, channels, 3, stride=2, padding=1), nn.PReLU(channels)]
            layers += [Unit(channels) for _ in range(units)]
            inputs = channels
        self.body = nn.Sequential(*layers)
        self.embed = nn.Linear(512 * 7 * 6, 512)

    def forward(self, x):
        return self.embed(self.body(x).flatten(1))


def time_sphere20(batch, classes=10575):
    """Forward, CosFace loss, backward and SGD with momentum, eagerly."""
    milliseconds = {}
    for precision in PRECISIONS:
        dtype = set_precision(precision)
        model = Sphere20().cuda().to(memory_format=torch.channels_last)
        centres = nn.Parameter(torch.randn(classes, 512, device="cuda"))
        optimizer = torch.optim.SGD([*model.parameters(), centres], lr=0.01, momentum=0.9)
        faces = torch.rand(batch, 3, 112, 96, device="cuda").contiguous(memory_format=torch.channels_last)
        labels = torch.randint(classes, (batch,), device="cuda")

        def step():
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cuda", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
                cosines = F.linear(F.normalize(model(faces)), F.normalize(centres))
            margin = 0.35 * F.one_hot(labels, classes)
            F.cross_entropy(64.0 * (cosines.float() - margin), labels).backward()
            optimizer.step()

        milliseconds[precision] = median_ms(step, samples=7, target_ms=500.0)
    return {"batch": batch, "milliseconds": milliseconds}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shapes", help="what `npm run bench -- --list-shapes` wrote")
    parser.add_argument("output", help="JSON to write, for `npm run bench -- --torch`")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("PyTorch sees no CUDA device")
    torch.backends.cudnn.benchmark = True
    with open(options.shapes, encoding="utf-8") as file:
        shapes = json.load(file)
    report = {
        "device": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "rows": time_shapes(shapes),
        "sphere20": time_sphere20(256),
    }
    with open(options.output, "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)


if __name__ == "__main__":
    main()
