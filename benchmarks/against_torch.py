"""The same training step in PyTorch: an iResNet with a full ArcFace head, in several settings, on the same card.

    python benchmarks/against_torch.py [--network iresnet50] [--batch_size 128] [--identities 100000]
        [--arcface_torch FOLDER]

Needs torch alone, and is to be run beside `benchmarks/gpu.py`, one after the other. The network is that of
`keras_face.backbones`, written again; with the folder of insightface's recognition/arcface_torch its own network, head
and step are timed too.
"""

import argparse
import contextlib
import math
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional

UNITS = {"iresnet18": (2, 2, 2, 2), "iresnet34": (3, 4, 6, 3), "iresnet50": (3, 4, 14, 3), "iresnet100": (3, 13, 30, 3)}
GIGA_MACS = {"iresnet18": 2.610, "iresnet34": 4.460, "iresnet50": 6.309, "iresnet100": 12.090}
FLAGS = argparse.Namespace()
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class Unit(nn.Module):
    """Norm, 3x3, norm, PReLU, 3x3 with the stride, norm, + shortcut."""

    def __init__(self, before: int, channels: int, stride: int):
        super().__init__()
        self.branch = nn.Sequential(
            nn.BatchNorm2d(before),
            nn.Conv2d(before, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.PReLU(channels),
            nn.Conv2d(channels, channels, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut = nn.Sequential(nn.Conv2d(before, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))

    def forward(self, images):
        return self.branch(images) + self.shortcut(images)


def network() -> nn.Module:
    """Returns the iResNet, from images [batch, 3, height, width] to embeddings [batch, 512]."""
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64)]
    before = 64
    for channels, units in zip((64, 128, 256, 512), UNITS[FLAGS.network], strict=True):
        for number in range(units):
            layers.append(Unit(before, channels, 2 if number == 0 else 1))
            before = channels
    flat = 512 * (FLAGS.side // 16) ** 2
    return nn.Sequential(*layers, nn.BatchNorm2d(512), nn.Flatten(), nn.Linear(flat, 512), nn.BatchNorm1d(512))


class ArcFace(nn.Module):
    """The cross-entropy of scaled cosines, the own angle widened by 0.5."""

    def __init__(self) -> None:
        super().__init__()
        self.prototypes = nn.Parameter(torch.randn(FLAGS.identities, 512) * 0.01)

    def forward(self, embeddings, labels):
        cosines = functional.normalize(embeddings.float()) @ functional.normalize(self.prototypes).T
        own = cosines.gather(1, labels[:, None]).clamp(-1, 1)
        widened = own * math.cos(0.5) - (1 - own * own).clamp(min=0).sqrt() * math.sin(0.5)
        return functional.cross_entropy(64 * cosines.scatter(1, labels[:, None], widened), labels)


def matrix_rate() -> float:
    """Returns floating-point operations per second of a product, in bfloat16 on a GPU."""
    rows, dtype = (8192, torch.bfloat16) if DEVICE == "cuda" else (1024, torch.float32)
    left = torch.randn(rows, rows, device=DEVICE, dtype=dtype)
    return max(2 * rows**3 / seconds(lambda: left @ left) for _ in range(8))


def wait() -> None:
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def seconds(call) -> float:
    wait()
    begun = time.perf_counter()
    call()
    wait()
    return time.perf_counter() - begun


def timed(what: str, backbone: nn.Module, head: nn.Module, rate: float, *, dtype, channels_last=False, compiled=False):
    """Prints photos a second of a training step with autocast, SGD with momentum and clipping."""
    backbone, head = backbone.to(DEVICE).train(), head.to(DEVICE).train()
    form = torch.channels_last if channels_last else torch.contiguous_format
    backbone = backbone.to(memory_format=form)
    images = torch.randn(FLAGS.batch_size, 3, FLAGS.side, FLAGS.side, device=DEVICE).contiguous(memory_format=form)
    labels = torch.randint(0, FLAGS.identities, (FLAGS.batch_size,), device=DEVICE)
    called = torch.compile(backbone) if compiled else backbone
    weights = [*backbone.parameters(), *head.parameters()]
    optimizer = torch.optim.SGD(weights, lr=0.02, momentum=0.9, weight_decay=5e-4)
    scales = dtype == torch.float16 and DEVICE == "cuda"
    scaler = torch.amp.GradScaler("cuda", enabled=scales)

    def step() -> None:
        with torch.autocast(DEVICE, dtype=dtype, enabled=dtype != torch.float32):
            embeddings = called(images)
        scaler.scale(head(embeddings.float(), labels)).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(backbone.parameters(), 5)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()

    first = seconds(step)
    for _ in range(3):
        step()
    some = FLAGS.steps // 3
    taken = statistics.median(seconds(lambda: [step() for _ in range(some)]) for _ in range(3)) / some
    work = 6e9 * GIGA_MACS[FLAGS.network] * (FLAGS.side / 112) ** 2 + 6 * 512 * FLAGS.identities
    name = str(dtype).removeprefix("torch.")
    more = ", ".join(word for word, holds in (("channels_last", channels_last), ("torch.compile", compiled)) if holds)
    speed = FLAGS.batch_size / taken
    print(
        f"{what} {name}{', ' * bool(more)}{more}: {speed:.0f} images/s, {speed * work / rate:.0%} of the matrix rate, "
        f"first step {first:.0f} s",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=list(UNITS), default="iresnet50")
    parser.add_argument("--batch_size", type=int, default=128, help="Photos of a step.")
    parser.add_argument("--identities", type=int, default=100_000, help="Of the head.")
    parser.add_argument("--steps", type=int, default=30, help="Timed steps.")
    parser.add_argument("--side", type=int, default=112, help="Height and width of the photos, a multiple of 16.")
    parser.add_argument("--nocompile", dest="compile", action="store_false", help="Without torch.compile.")
    parser.add_argument("--arcface_torch", help="Folder of insightface's recognition/arcface_torch.")
    parser.parse_args(namespace=FLAGS)
    card = torch.cuda.get_device_name() if DEVICE == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    torch.backends.cudnn.benchmark = True
    rate = matrix_rate()
    print(f"torch {torch.__version__}, {card}: matrix product {rate / 1e12:.3f} TFLOP/s", flush=True)
    for dtype in (torch.float16, torch.bfloat16) if DEVICE == "cuda" else (torch.float32,):
        for channels_last in (False, True):
            for compiled in (False, True) if FLAGS.compile else (False,):
                how = {"dtype": dtype, "channels_last": channels_last, "compiled": compiled}
                timed("iResNet and ArcFace", network(), ArcFace(), rate, **how)
    if FLAGS.arcface_torch:
        sys.path.insert(0, FLAGS.arcface_torch)
        with contextlib.suppress(ValueError):  # its head gathers over a group, of one
            torch.distributed.init_process_group("nccl", init_method="tcp://127.0.0.1:12584", rank=0, world_size=1)
        from backbones import get_model
        from losses import CombinedMarginLoss
        from partial_fc_v2 import PartialFC_V2

        short = FLAGS.network.replace("iresnet", "r")
        for channels_last in (False, True):
            backbone = get_model(short, dropout=0.0, fp16=True, num_features=512)
            head = PartialFC_V2(CombinedMarginLoss(64, 1.0, 0.5, 0.0, 0), 512, FLAGS.identities, 1.0, False)
            timed("arcface_torch", backbone, head, rate, dtype=torch.float16, channels_last=channels_last)


if __name__ == "__main__":
    main()
