"""Images by optimisation: reconstruction, texture, amalgamation, style transfer.

One evaluation is followed from the image to its gradient in: recipe, inputs, statistics, losses, style, targets,
objective, and of ``network`` vgg and pullback. The rest of a synthesis is in pyramid, result and synthesis, and the
loss of its last iterations in neighbours; clip makes pictures move. Beside them stand more statistics (gaussian,
sliced) and losses (image_losses), the losses as PyTorch modules (training), and what is not needed to understand the
method.
"""

import lazy_loader

#: Those that ``__init__.pyi`` names; each is imported when it is first asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
