"""Jobs: what the toolkit does from end to end, from the files that are named to the files that are written.

Each is a model of checked fields, and ``run`` does it. The command line is made from them; from Python they are used
as from there.

>>> from toolkit.jobs import Transfer
>>> job = Transfer(content="photo.jpg", styles=["painting.jpg"], size=256, output="painted.png")  # then job.run()

A model imports nothing that computes: that waits for ``run``.
"""

from .atlas import AtlasJob
from .bench import Bench
from .compare import Compare
from .convert import Convert
from .export import Export
from .inspect import Inspect
from .job import Job, NetworkJob, Outcome
from .judge import Judge
from .normalize import Counted, Normalize
from .pairs import every_pair
from .publish import Publish
from .site import Site
from .study import LabelledStep, StudyJob
from .synthesis import Amalgamation, Made, Reconstruction, SynthesisJob, Texture, Transfer
