"""The paper's Table 4: what its numbers can mean, and DRPnet measured by every rule that may be behind them."""
