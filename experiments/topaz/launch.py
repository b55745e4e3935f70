"""python launch.py [--no-gradients] extract ...: `topaz`, also where torchvision's compiled operators do not load.

As beside a CPU-only torch. Run by the Python that has Topaz, which need not have DRPnet. Topaz uses torchvision to rotate
training images only; its import fails for want of operators that nothing calls, so declaring them is enough. Topaz 0.3.20
scores micrographs with gradients on, which takes 14 KB a pixel; without them the scores are the same.
"""

import sys

import torch

try:
    import torchvision  # noqa: F401
except (ImportError, RuntimeError):
    for module in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[module]
    for operator in ("nms", "qnms"):
        torch.library.define(f"torchvision::{operator}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from topaz.main import main

if __name__ == "__main__":
    if "--no-gradients" in sys.argv[1:2]:
        del sys.argv[1]
        torch.set_grad_enabled(False)
    sys.exit(main())
