"""Flow against squares whose motion is known; what is hidden, too fast or another scene is not believed."""

import pytest
import torch
import torch.nn.functional as F

from toolkit.pictures.flow import motion, optical_flow, warped

pytest.importorskip("cv2")


def texture(height, width, seed):
    noise = torch.rand(1, 3, height // 8, width // 8, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(noise, (height, width), mode="bicubic").clamp(0, 1)


def scene(right, ground=0):
    """A square of 40 pixels on a ground that stands still, so far to the right."""
    image = texture(96, 160, ground).clone()
    image[..., 28:68, 20 + right : 60 + right] = texture(40, 40, 9)
    return image


@pytest.mark.parametrize("right", [3, 8])
def test_the_flow_of_a_moving_square_is_known(right):
    found = motion(scene(0), scene(right))
    inner = found.flow[0, :, 32:64, 24 + right : 56 + right]
    assert (inner[0] + right).abs().mean() < 0.2 and inner[1].abs().mean() < 0.2
    assert found.flow[..., 80:, :].abs().max() < 0.1
    believed = found.certain[0, 0]
    assert believed[34:62, 30 + right : 50 + right].float().mean() > 0.95
    assert right < 8 or believed[30:66, 20 : 20 + right].float().mean() < 0.35  # the ground that was hidden
    assert not found.cut


@pytest.mark.parametrize("right", [3, 30, 60])
def test_what_is_believed_is_true_however_fast_it_moves(right):
    before, after = scene(0), scene(right)
    found = motion(before, after)
    wrong = (warped(before, found.flow) - after).abs().mean(1, keepdim=True) > 0.2
    assert (wrong & found.certain).float().mean() < 0.002


def test_another_scene_is_a_cut_and_a_moving_camera_is_not():
    wide = texture(96, 200, 1)
    assert motion(wide[..., :160], texture(96, 160, 2)).cut
    assert not motion(wide[..., :160], wide[..., 12:172]).cut


def test_warping_by_whole_pixels_is_exact(random_image):
    image = random_image(20, 30)
    flow = torch.tensor([3.0, -2.0]).view(1, 2, 1, 1).expand(1, 2, 20, 30)
    torch.testing.assert_close(warped(image, flow)[..., 2:, :-3], image[..., :-2, 3:], atol=1e-5, rtol=0)


def test_images_of_any_size_have_a_flow(random_image):
    for size in ((1, 1), (9, 40), (17, 16)):
        assert optical_flow(random_image(*size), random_image(*size)).shape == (1, 2, *size)
