"""Networks: VGGs with their layers by name and files of weights; any other PyTorch module as a backbone."""

import lazy_loader

#: Those that ``__init__.pyi`` names; each is imported when it is first asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
