"""A training's stand-in: gets its words, leaves its files, ends in a moment, or fails or waits as its words say.

`x` is good near 3; `steps` epochs of `wait` seconds; `fail=true` ends with an error; `block=FILE` waits until FILE is there.
"""

import json
import math
import os
import sys
import time
from pathlib import Path

words = dict(word.split("=", 1) for word in sys.argv[1:])
folder = Path(words["hydra.run.dir"])
with (Path(words["log"])).open("a") as file:
    print(folder.name, words["x"], os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES", "-"), file=file)
if words.get("fail") == "true" or words["x"] == "bad":
    print("INFO begins")
    print(f"error: x is {words['x']}; use another", file=sys.stderr)
    sys.exit(2)
while "block" in words and not Path(words["block"]).exists():
    time.sleep(0.02)
value = math.exp(-((float(words["x"]) - 3) ** 2)) if words["x"] != "nan" else math.nan
(folder / "curves").mkdir(parents=True)
with (folder / "curves" / "metrics.csv").open("w", buffering=1) as file:
    file.write("epoch,step,train_loss,val_f\n")
    for epoch in range(int(words.get("steps", 2))):
        file.write(f"{epoch},{epoch},0.5,\n{epoch},{epoch},,{value}\n")
        time.sleep(float(words.get("wait", 0)))
(folder / "weights.safetensors").write_text(words["x"])
(folder / "config.yaml").write_text(json.dumps(words))
(folder / "metrics.json").write_text(json.dumps({"seed": 0, "validation": {"best_f_measure": value}}))
