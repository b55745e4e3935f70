"""The YAML of drpnet: installed inside the wheel as `drpnet.conf`."""
