"""Images by optimisation: reconstruction, texture, amalgamation, style transfer.

One evaluation is followed from the image to its gradient in this order: recipe, inputs, statistics, gaussian (the usual
statistic), losses, style, targets, objective, and of ``network`` vgg and pullback. Then come neighbours (the finish:
the loss of the last iterations), pyramid, result, synthesis, of ``optimize`` lbfgs, and clip, for moving pictures.
Beside them stand one more statistic (sliced) and losses (image_losses), the losses as PyTorch modules (training), and
what is not needed to understand the method.
"""

import lazy_loader

#: Those that ``__init__.pyi`` names; each is imported when it is first asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
