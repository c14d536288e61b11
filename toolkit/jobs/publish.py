"""A normalised network, its ONNX files and its card, on the Hugging Face Hub."""

import re
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..fields import field
from .job import Job, Outcome, VGGSource


class Publish(Job):
    """Put a normalised network on the Hugging Face Hub.

    Writes the network, its ONNX files, its mean activations and a card filled from its provenance into a folder,
    checks them, and uploads the folder with the token of `hf auth login` or HF_TOKEN. Everybody may then use it as
    hf://OWNER/NAME.
    """

    source: VGGSource
    repository: str = field(..., "where to publish it", positional=True, metavar="OWNER/NAME")
    license: str = field(..., "license of the weights, by the Hub's names, such as cc-by-4.0", metavar="NAME")
    base_model: str | None = field(None, "Hub repository of the original weights", metavar="OWNER/NAME")
    private: bool = field(False, "make a new repository private")
    dry_run: bool = field(False, "write the folder but do not upload it")
    output: Path | None = field(
        None, "the folder to write (default: the name in OWNER/NAME)", short="o", metavar="FOLDER"
    )

    def run(self, progress: Any = lambda step: None) -> Outcome:
        name = self.repository.rpartition("/")[2]
        if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", self.repository, re.ASCII):
            raise InputError(f"{self.repository} is no name of a repository: write OWNER/NAME.", "repository")
        if not self.license.strip():
            raise InputError("License is empty: name that of the weights, such as cc-by-4.0.", "license")
        from ..files import check_outputs, written_atomically
        from ..publish import card, upload, write_bundle
        from ..publish.card import FILES

        folder = self.output or Path(name)
        readme = folder / "README.md"
        check_outputs([readme])
        written = {readme.name, *FILES}  # perhaps by an earlier run
        if others := sorted(path.name for path in folder.iterdir() if path.name not in written):
            raise InputError(f"{folder} holds other files ({others[0]}): name an empty one.", "output")
        bundle = write_bundle(self.source, folder)
        with written_atomically(readme) as temporary:
            text = card(bundle, self.repository, self.license, self.base_model)
            temporary.write_text(text, encoding="utf-8")
        lines = [f"written to {folder}: {', '.join([readme.name, *bundle.files])}"]
        if not self.dry_run:
            lines.append(f"published at {upload(folder, self.repository, self.private)}")
        return Outcome("\n".join(lines))
