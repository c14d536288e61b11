"""How a clip is painted: each frame is kept as it is made, and the film is put together from them however it ends."""

import dataclasses
import hashlib
import json
import math
import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from torch import Tensor

from ..choices import FILMS
from ..device import find_device
from ..distributed import Ranks
from ..errors import DamagedFileError, InputError, ToolkitError, ToolkitWarning, WriteError, in_words
from ..files import check_outputs, check_space, save_somewhere, sha256, written_atomically
from ..network import Backbone, fingerprint
from ..pictures.clips import Clip, Frame, Sound, open_clip, save_clip
from ..pictures.decode import SUFFIXES
from ..pictures.formats import save_image
from ..pictures.io import open_image, open_mask, open_picture, to_uint8
from ..process import uninterrupted
from ..synthesis import ClipSynthesis, Inputs, Progress
from ..synthesis.pyramid import size_of
from .job import LOG, keeping, written
from .paint import engine_of, prepared
from .pairs import name_of
from .synthesis import Made, Transfer

#: What a picture has and a clip has not.
REFUSED = ("regions", "timelapse", "bits", "dpi", "keep_alpha")

#: In the folder of frames: what they are made from, and the name of the film that was made of them, beside it.
STATE, FILM = "clip.json", "film.txt"

#: Frames over which a loop returns to its beginning, at most.
RETURN = 12

#: How long a frame takes that follows another, relative to a scene's first, until one is timed.
FOLLOWING = 0.45

#: Bytes that a pixel of a painted frame takes on the disk, about.
BYTES = 2.5


def run(job: Transfer, progress: Callable[[Progress], object], network: Backbone | None) -> Made:
    """Paints a clip, in one process."""
    with Ranks.joined(find_device(job.device)) as ranks:
        if ranks.world_size > 1:
            raise ToolkitError("A clip is painted by one process: start it without torchrun.")
        painting = ClipPainting(job, network or job.load())
        with keeping(lambda _: painting.keep(), "the clip so far is kept; the same command goes on."):
            for step in painting:
                progress(step)
        with uninterrupted():
            made = painting.put_together()
            painting.tidy()
        return made


class ClipPainting:
    """A clip in work. Iterate over it to paint the frames that are not there yet.

    Args:
        job: says what to make. Frames are kept in a folder beside its output.
        network: paints.

    Raises:
        ToolkitError: when the job can't be done, or frames of another one are there.
    """

    def __init__(self, job: Transfer, network: Backbone) -> None:
        for name in REFUSED:
            if getattr(job, name):
                raise InputError(f"{in_words(name)} does not go with a clip: leave it out.", name)
        self.job = job
        self.output = job.output or Path(f"{name_of(job)}.mp4")
        if self.output.suffix.lower() not in ("", *FILMS):
            raise InputError(
                f"{self.output} can't be a clip: end it in {', '.join(FILMS)}, or name a folder.", "output"
            )
        self.folder = self.output.with_suffix(".frames") if self.output.suffix else self.output
        check_outputs([self.folder / STATE] if self.output == self.folder else [self.output], job.pictures)
        self.recipe, self.still, _ = prepared(job.model_copy(update={"content": None, "masks": ()}), network)
        self.clip = _part(job, job.content)
        self.state = self._state(network)
        self._check_folder()
        self.times: list[Fraction] = []
        self.beginning: list[Inputs] = []  # to which a loop returns
        self.image: Tensor  # that was painted last
        self.began, self.done, self.pace = time.monotonic(), 0, 0.0
        self.synthesis = ClipSynthesis(
            network,
            self.recipe,
            temporal_weight=job.temporal_weight,
            device=find_device(job.device),
            memory=job.memory,
            make_objective=engine_of(job),
        )

    def __iter__(self) -> Iterator[Progress]:
        """Paints; yields after every iteration."""
        for number, (when, inputs) in enumerate(self._inputs(), 1):
            if number == 1:
                pixels = math.prod(size_of(inputs.proportions, self.recipe.size))
                check_space(self.folder, int(BYTES * pixels * self.clip.count))
            if self.job.loop and number <= RETURN:
                self.beginning.append(inputs)
            yield from self._paint(self._place(number), self.synthesis.show(inputs), number)
            self.times.append(when)
        if not self.times:
            raise DamagedFileError(f"{self.job.content} has no frame in that part.")
        count = min(RETURN, len(self.times) // 2)
        for number, inputs in enumerate(self.beginning[:count], 1):
            towards = open_image(self._place(number))
            kind = self.synthesis.show(inputs, towards, number / (count + 1))
            if kind == "scene":
                break  # nobody minds a jump at a cut
            yield from self._paint(self._place_again(number), kind, len(self.times))

    @property
    def _earlier(self) -> Path | None:
        """The film that an earlier run has put together."""
        name = self.folder / FILM
        return self.folder.with_name(os.fsdecode(name.read_bytes())) if name.exists() else None

    def keep(self) -> str:
        """Writes the film so far, where an earlier one has not more of the frames; tells where it is."""
        if self._earlier and self._place(len(self.times) + 1).exists():
            return written(self._earlier)
        return self.put_together().text if self.times else ""

    def put_together(self) -> Made:
        """Writes the film of the frames that it has come to."""
        if self.folder == self.output:
            return Made(written(self.folder), path=self.folder)
        # The first one may have found its name taken.
        output = self.job.output or self._earlier
        path = save_somewhere(output or self.output, self.save, overwrite=output is not None)
        (self.folder / FILM).write_bytes(os.fsencode(path.name))
        return Made(written(path), path=path, film=path)

    def save(self, path: Path) -> None:
        """Writes the film of these frames to a path, with the sound of the clip where it can be read.

        Raises:
            ToolkitError: when it can't be written.
        """
        begin, content = self.job.from_ or 0.0, self.job.content
        end = begin + float(self.times[-1] + 1 / self.clip.rate)
        sound = Sound(Path(content), begin, end) if _is_video(content) else None
        try:
            save_clip(path, self._frames(), self.clip.rate, sound)
        except WriteError:
            if sound is None:
                raise
            save_clip(path, self._frames(), self.clip.rate)
            warnings.warn(f"The sound of {content} can't be read: the film has none.", ToolkitWarning, stacklevel=2)

    def tidy(self) -> None:
        """Leaves nothing beside the output, once it is whole."""
        if self.folder != self.output:
            shutil.rmtree(self.folder)
            return
        for number in range(1, RETURN + 1) if self.job.loop else ():
            if (again := self._place_again(number)).exists():
                again.replace(self._place(number))
        for other in self.folder.glob("loop-*"):  # of a loop that ended elsewhere
            other.unlink()
        (self.folder / STATE).unlink()

    def _paint(self, place: Path, kind: str, number: int) -> Iterator[Progress]:
        """Paints the frame that is shown, unless it is there. It goes on from eight bits, as a resumed run must."""
        if not place.exists():
            if kind != "still":
                synthesis = self.synthesis.synthesis()
                for step in synthesis:
                    yield self._of_the_clip(step, number)
                self.pace = step.seconds * (FOLLOWING if kind == "scene" else 1)
                self.image = synthesis.image
            if number == 1:
                with written_atomically(self.folder / STATE) as temporary:
                    temporary.write_text(json.dumps(self.state))
            save_image(self.image, place, self.recipe.to_json())
        self.image = open_image(place)
        if kind != "still":
            self.synthesis.keep(self.image)

    def _of_the_clip(self, step: Progress, number: int) -> Progress:
        """An iteration of a frame as one of the clip; frames to come will take as long as the last one did."""
        self.done += 1
        left = max(0, self.clip.count - number)
        return dataclasses.replace(
            step,
            iteration=self.done,
            iterations=self.done + step.iterations - step.iteration + left * self.synthesis.iterations,
            seconds=time.monotonic() - self.began,
            remaining=step.remaining + left * (self.pace or FOLLOWING * (step.seconds + step.remaining)),
            frame=number,
            frames=number + left,
        )

    def _inputs(self) -> Iterator[tuple[Fraction, Inputs]]:
        """The time of each frame, and what it is painted from."""
        masks = [_masks(self.job, mask) for mask in self.job.masks]
        for frame in self.clip.frames:
            own = [next(each) for each in masks]
            yield frame.time, dataclasses.replace(self.still, content=frame.image, masks=own)

    def _place(self, number: int) -> Path:
        return self.folder / f"{number:06}.png"

    def _place_again(self, number: int) -> Path:
        """Of a frame to which the loop returns from its end, wherever that is."""
        return self.folder / f"loop-{number:06}-after-{len(self.times):06}.png"

    def _frames(self) -> Iterator[Frame]:
        for number, when in enumerate(self.times, 1):
            again = self._place_again(number)
            whole = self.job.loop and again.exists()
            yield Frame(when, to_uint8(open_picture(again if whole else self._place(number))))

    def _state(self, network: Backbone) -> dict[str, Any]:
        """What the frames are made from."""
        job = self.job
        return {
            "recipe": json.loads(self.recipe.to_json()),
            "network": fingerprint(network),
            "files": [_fingerprint(Path(name)) for name in job.pictures],
            **{name: getattr(job, name) for name in ("temporal_weight", "fps", "from_", "background", "engine")},
        }

    def _check_folder(self) -> None:
        """Makes sure that the folder has frames of this clip, to go on from, or none."""
        place = self.folder / STATE
        if place.exists():
            try:
                same = json.loads(place.read_text()) == self.state
            except ValueError:  # something else has written there
                same = False
            if not same:
                raise ToolkitError(f"{self.folder} has frames of another recipe, network or clip: remove it.")
            LOG.info("going on from the frames in %s", self.folder)
        elif self.folder.exists() and any(self.folder.iterdir()):
            raise ToolkitError(f"{self.folder} has other files: name another output, or remove it.")


def _part(job: Transfer, source: str) -> Clip:
    """The part of a clip that the job is about."""
    begin, rate = job.from_ or 0.0, job.fps
    clip = open_clip(source, rate, begin=begin, background=job.background)
    return clip.part(begin, math.inf if job.to is None else job.to, None if Path(source).is_dir() else rate)


def _masks(job: Transfer, mask: str) -> Iterator[Tensor]:
    """A mask for each frame: a picture for all of them, or a clip, whose last frame stays."""
    bright = None if _is_video(mask) else open_mask(mask)
    for frame in _part(job, mask).frames if bright is None else ():
        bright = frame.image.amax(1, keepdim=True) / 255
        yield bright
    if bright is None:
        raise DamagedFileError(f"{mask} has no frame in that part.")
    while True:
        yield bright


def _is_video(name: str) -> bool:
    path = Path(name)
    return not path.is_dir() and path.suffix.lower() not in SUFFIXES


def _fingerprint(path: Path) -> str:
    """Of a file; of a folder by its files' names and sizes."""
    if path.is_file():
        return sha256(path)
    listed = sorted((each.name, each.stat().st_size) for each in path.iterdir() if each.is_file())
    return hashlib.sha256(repr(listed).encode()).hexdigest()
