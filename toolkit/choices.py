"""The words that people choose by. Commands and forms are made from them, before anything that computes is imported."""

from typing import Literal

Pooling = Literal["average", "max"]

#: Input of weights: torchvision's is RGB in [0, 1], Caffe's BGR in 0..255.
Convention = Literal["torchvision", "caffe"]

#: How keys of weights are named: ``network.foreign`` tells.
Layout = Literal["torchvision", "adain", "gatys", "plain"]

#: How weights are stored.
Storage = Literal["float32", "float16", "8bit"]

#: How an image is prepared for measuring.
Preparation = Literal["crop", "stretch", "native"]

#: Of the convolutions while measuring; ``tf32`` differs from ``float32`` on NVIDIA's GPUs alone.
Arithmetic = Literal["float32", "tf32", "bfloat16"]

#: ``style`` keeps the colours of the style image, the others those of the content image: ``luminance`` transfers the
#: style to the luma only; ``covariance`` and ``histogram`` first give the style image the content image's colours.
Colour = Literal["style", "luminance", "covariance", "histogram"]

#: What of the features defines a style.
StatisticName = Literal["gram", "moments", "wasserstein", "sliced"]

#: Public-domain photographs that come with scikit-image, by name: their files there.
PHOTOGRAPHS = {"astronaut": "astronaut.png", "chelsea": "chelsea.png", "coffee": "coffee.png", "rocket": "rocket.jpg"}

#: How the names of files of mean activations and of atlases end.
SCALES, ATLAS = ".scales", ".atlas"

OptimizerName = Literal["lbfgs", "adam"]

#: How the names of clips end that are read, and of films that are written.
CLIPS = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".wmv", ".ogv", ".3gp")
FILMS = (".mp4", ".gif", ".webp")

#: No clip has more seconds.
LONGEST_CLIP = 1e6

#: The usual weight of the temporal loss.
TEMPORAL = 300.0
