"""How ``Normalize`` (normalize.py) runs: over images, by one process or several, or from mean activations."""

import copy
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ..choices import SCALES, Pooling
from ..data.remote import is_remote, named
from ..data.sources import list_images
from ..data.stream import ImageStream, decoders
from ..device import find_device
from ..distributed import Ranks
from ..files import check_outputs, check_space, written_atomically
from ..network import (
    POOLINGS,
    ModuleBackbone,
    Network,
    check_layers,
    is_module,
    load_module,
    load_vgg,
    rounded,
    save_network,
    save_scales,
)
from ..normalize import MeanActivations, Normalized, Pass, apply, example_stream, normalize
from ..normalize.check import held_out
from ..normalize.facts import facts, in_words, skipped_in_words
from ..normalize.report import report
from .job import LOG, Outcome, written
from .normalize import PRESETS, Counted, Normalize

INTERRUPTED = "what was done is kept: run the same command to continue."


def run(job: Normalize, progress: Callable[[Counted], object]) -> Outcome:
    check_outputs([path for path in (job.output, job.report) if path], (job.source, *job.images))
    where = find_device(job.device)
    if job.of_means:
        return _apply(job, where)
    with Ranks.joined(where) as ranks:
        return _measure(job, progress, where, ranks)


def _apply(job: Normalize, where: torch.device) -> Outcome:
    known = MeanActivations.load(Path(os.path.expanduser(job.images[0])))  # noqa: PTH111
    original = _original(job, known.pooling, where)
    photographs = held_out(where)
    result = apply(original, known, photographs)
    save_network(original, job.output, job.precision, [result.network])
    return _outcome(job, facts(None, [result]), len(photographs))


def _measure(job: Normalize, progress: Callable[[Counted], object], where: torch.device, ranks: Ranks) -> Outcome:
    pooling = job.pooling or PRESETS[job.preset].pooling
    poolings = POOLINGS if pooling == "both" else (pooling,)
    original = _module(job, where) if is_module(job.source) else _original(job, poolings[0], where)
    means_only = job.output.suffix == SCALES
    check_space(job.output, 0 if means_only else sum(weight.numel() for weight in original.parameters()) * 4)
    images, provenance = _images(job, where, ranks)
    photographs = held_out(where)
    recheck = 0 if means_only else min(job.recheck, len(images.entries))
    if ranks.first:
        LOG.info("%s images; %s can be written", f"{len(images.entries):,}", job.output)
    total, done = len(images.entries) + recheck, 0

    def add(more: int) -> None:
        nonlocal done
        done = min(total, done + more * ranks.world_size)  # the others are taken to be as far
        if ranks.first:
            progress(Counted(done, total))

    arithmetic = job.arithmetic or ("tf32" if where.type == "cuda" else "float32")
    work = Pass(images, arithmetic, ranks, job.output, add)
    try:
        results: Sequence[Normalized] = []
        if isinstance(original, ModuleBackbone):
            ((means, note),), measurement = work.means([original], provenance)
            save = partial(save_scales, original.normalized(means, note), job.output)
        elif means_only:
            (known,), measurement = work.mean_activations([original], provenance)
            save = partial(known.save, job.output)
        else:
            originals = [original, *(_with_pooling(original, other) for other in poolings[1:])]
            results, measurement = normalize(originals, work, photographs, provenance, recheck)
            save = partial(save_network, original, job.output, job.precision, [each.network for each in results])
    except KeyboardInterrupt:
        raise KeyboardInterrupt(INTERRUPTED) from None
    if ranks.first:
        save()
        if job.report is not None:
            with written_atomically(job.report) as temporary:
                temporary.write_text(report(results, measurement), encoding="utf-8", errors="backslashreplace")
    ranks.all_gather(None)  # no process deletes its sums before the result is safe
    work.forget()
    return _outcome(job, facts(measurement, results), len(photographs)) if ranks.first else Outcome("")


def _original(job: Normalize, pooling: Pooling, where: torch.device) -> Network:
    """The network as it was trained, in the precision in which it will be read."""
    loaded = load_vgg(job.source, convention=job.convention, pooling=pooling, normalized=False)
    return rounded(loaded, job.precision).to(where)


def _module(job: Normalize, where: torch.device) -> ModuleBackbone:
    """A network that is no VGG, as it was trained, with the layers to measure."""
    parts = (each.partition("=") for each in job.layers or ())
    layers = {name: own or name for name, _, own in parts}
    network = load_module(job.source, convention=job.convention, layers=layers).at(where, torch.float32)
    check_layers(network, layers)
    return network


def _with_pooling(network: Network, pooling: Pooling) -> Network:
    other = copy.deepcopy(network)
    other.pooling = pooling
    return other


def _images(job: Normalize, where: torch.device, ranks: Ranks) -> tuple[ImageStream, dict[str, Any]]:
    if not job.images:
        entries = example_stream().entries
        provenance = {"source": "scikit-image's photographs"}
    else:
        chosen: dict[str, Any] = {"sample": job.sample, "seed": job.seed}
        if ranks.first and any(is_remote(source) for source in job.images):
            LOG.info("looking for images …")
        # One process looks through the archives, so that all share the same images.
        entries = ranks.all_gather(list_images(*job.images, **chosen) if ranks.first else None)[0]
        provenance = {"source": named(*job.images), **(chosen if job.sample else {})}
    preparation = job.prepare or PRESETS[job.preset].preparation
    workers = decoders(where) if job.workers is None else job.workers
    return ImageStream(entries, preparation, job.batch_size, workers, job.strict), provenance


def _outcome(job: Normalize, known: dict[str, Any], photographs: int) -> Outcome:
    paths = [path for path in (job.output, job.report) if path is not None]
    for line in skipped_in_words(known.get("skipped", {})):
        LOG.info(line)
    text = "\n".join([*in_words(known, photographs), written(*paths)])
    return Outcome(text, {"written": [str(path) for path in paths], **known})
