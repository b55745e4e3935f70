import numpy as np
import pytest
import torch

from drpnet.errors import InputError
from drpnet.networks import FCRN, PatchClassifier, UNet, channels_last

RELEASED = {
    "kernels": [11, 7, 5, 3],
    "widths": [16, 16, 32, 64],
    "pools": [4, 4, 2, 2],
    "strides": [1, 1, 1, 1],
    "hidden": 128,
}


def parameters(network):
    return sum(weight.numel() for weight in network.parameters())


def test_the_fcrn_has_the_released_number_of_parameters():
    assert parameters(FCRN()) == 26_561


@pytest.mark.parametrize("size", [(64, 64), (33, 50), (1, 7)])
def test_the_fcrn_keeps_the_size(size):
    assert FCRN(width=4)(torch.zeros(2, 1, *size)).shape == (2, 1, *size)


def test_an_output_pixel_sees_exactly_the_halo():
    torch.manual_seed(0)
    network = FCRN(width=2).double()
    for weight in network.parameters():
        weight.data = weight.data.abs() + 0.01  # every path through ReLU is open
    seen = torch.zeros(48, 48, dtype=torch.bool)
    for _ in range(40):  # max-pooling takes one of four paths; many images open them all
        image = torch.rand(1, 1, 48, 48, dtype=torch.double, requires_grad=True)
        (gradient,) = torch.autograd.grad(network(image)[0, 0, 24, 24], image)
        seen |= gradient[0, 0] != 0
    rows, columns = np.nonzero(seen.numpy())
    for reach in (rows - 24, columns - 24):
        assert (reach.min(), reach.max()) == (-9, 10)
    assert FCRN.halo == max(9, 10)


def test_nothing_beyond_the_halo_changes_an_output_pixel():
    torch.manual_seed(1)
    network = FCRN(width=8)
    image = torch.randn(1, 1, 70, 70)
    window = (slice(30, 40), slice(25, 37))
    before = network(image)[0, 0][window]
    elsewhere = torch.ones(70, 70, dtype=torch.bool)
    elsewhere[30 - FCRN.halo : 40 + FCRN.halo, 25 - FCRN.halo : 37 + FCRN.halo] = False
    image[0, 0][elsewhere] = 99.0
    torch.testing.assert_close(network(image)[0, 0][window], before)


def test_the_released_classifier_has_its_25_million_parameters():
    with torch.device("meta"):
        assert parameters(PatchClassifier(**RELEASED)) == 25_736_465


def test_the_compact_classifier_stays_small_enough_for_git():
    assert parameters(PatchClassifier()) < 150_000


@pytest.mark.parametrize("size", [64, 48])
def test_the_classifier_gives_one_logit_a_patch(size):
    network = PatchClassifier(size=size).eval()
    assert network(torch.randn(3, 1, size, size)).shape == (3,)
    assert network(torch.randn(1, 1, size, size)).shape == (1,)


def test_the_classifier_ignores_brightness_and_contrast():
    torch.manual_seed(2)
    network = PatchClassifier().eval()
    patches = torch.randn(4, 1, 64, 64)
    torch.testing.assert_close(network(patches), network(7 * patches - 30), atol=1e-4, rtol=1e-4)
    assert network(patches).std() > 0


def test_the_classifier_survives_a_constant_patch():
    assert torch.isfinite(PatchClassifier().eval()(torch.full((2, 1, 64, 64), 5.0))).all()


@pytest.mark.parametrize("pools", [[2, 2], [2, 2, 2, 2, 2]])
def test_lists_of_different_lengths_are_refused(pools):
    with pytest.raises(ValueError):
        PatchClassifier(pools=pools)


@pytest.mark.parametrize("size", [(64, 64), (33, 50), (8, 71)])
def test_the_unet_keeps_the_size(size):
    assert UNet(width=4)(torch.zeros(2, 1, *size)).shape == (2, 1, *size)


def test_the_unet_sees_no_flat_strip_below_and_beside_the_image():
    torch.manual_seed(2)
    network, image = UNet(width=4).eval(), torch.randn(1, 1, 61, 75)
    whole = torch.nn.functional.pad(image, (0, 5, 0, 3), "reflect")
    torch.testing.assert_close(network(image), network(whole)[..., :61, :75])


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_nothing_beyond_the_unets_halo_changes_an_output_pixel(depth):
    torch.manual_seed(1)
    network = UNet(width=4, depth=depth).eval()
    assert network.halo % 2**depth == 0
    size = 2 * network.halo + 40
    image = torch.randn(1, 1, size, size)
    window = (slice(network.halo, network.halo + 16), slice(network.halo + 3, network.halo + 19))
    before = network(image)[0, 0][window]
    elsewhere = torch.ones(size, size, dtype=torch.bool)
    elsewhere[: 2 * network.halo + 16, 3 : 2 * network.halo + 19] = False
    assert elsewhere.any()
    image[0, 0][elsewhere] = 99.0
    torch.testing.assert_close(network(image)[0, 0][window], before)


def test_the_unet_needs_a_scale():
    with pytest.raises(InputError, match="network.depth is 0"):
        UNet(depth=0)


@pytest.mark.parametrize("network", [FCRN(), PatchClassifier().eval(), UNet().eval()])
def test_the_layout_changes_speed_alone(network):
    """From the first convolution on, which has one input channel; what comes out is the same."""
    x = torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    layouts = []

    def note(layer, inputs, output):
        layouts.append(output.is_contiguous(memory_format=torch.channels_last))

    with torch.inference_mode():
        before = network(x)
        channels_last(network)
        for layer in network.modules():
            if isinstance(layer, torch.nn.Conv2d):
                layer.register_forward_hook(note)
        after = network(x)
    assert layouts and all(layouts)
    torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-5)
