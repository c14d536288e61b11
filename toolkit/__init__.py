"""Normalised VGG networks (Gatys, Ecker & Bethge 2016), and images synthesised with them.

>>> import toolkit
>>> network = toolkit.load_network("vgg19-small")
>>> photo = toolkit.example_photographs()["coffee"]
>>> network(photo, ["relu4_2"])["relu4_2"].shape
torch.Size([1, 160, 50, 75])
"""

import lazy_loader

__version__ = "0.3.0"

#: Those that ``__init__.pyi`` names; each is imported when it is first asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
