"""Trains a small network that paints any photograph in one style: python train.py PAINTING FOLDER OUTPUT [STEPS SIZE].

FOLDER holds photographs, as JPEG or PNG. OUTPUT is the first of them, painted; its network's weights lie beside it.
"""

import sys
from pathlib import Path

import torch
from torch import nn
from torchvision.transforms import RandomResizedCrop
from torchvision.utils import save_image

import toolkit

painting, folder, output = (Path(name) for name in sys.argv[1:4])
steps, size = map(int, sys.argv[4:] or (2000, 256))
paths = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in (".jpg", ".jpeg", ".png")]
photos = [toolkit.open_image(path) for path in paths]
crop = RandomResizedCrop(size, scale=(0.2, 1.0))

network, recipe = toolkit.load_network("vgg19-small"), toolkit.Recipe.preset("transfer", style_statistic="gram")
style_loss = toolkit.StyleLoss(network, recipe, [toolkit.open_image(painting)])
content_loss = toolkit.ContentLoss(network, recipe)


def layer(channels: int, filters: int, side: int, stride: int = 1) -> nn.Sequential:
    """A convolution, normalised, and a ReLU."""
    convolution = nn.Conv2d(channels, filters, side, stride, side // 2, padding_mode="reflect")
    return nn.Sequential(convolution, nn.InstanceNorm2d(filters, affine=True), nn.ReLU())


torch.manual_seed(0)
middle = [layer(64, 64, 3) for _ in range(4)]
down, up = [layer(3, 16, 9), layer(16, 32, 3, 2), layer(32, 64, 3, 2)], [nn.Upsample(scale_factor=4), layer(64, 16, 5)]
painter = nn.Sequential(*down, *middle, *up, nn.Conv2d(16, 3, 9, padding=4), nn.Sigmoid())
optimizer = torch.optim.Adam(painter.parameters(), 2e-3)
for step in range(1, steps + 1):
    batch = torch.cat([crop(photos[index]) for index in torch.randint(len(photos), (4,))])
    painted = painter(batch)
    loss = content_loss(painted, batch) + style_loss(painted)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item(), flush=True)
save_image(painter(photos[0]), output)
torch.save(painter.state_dict(), output.with_suffix(".pt"))
