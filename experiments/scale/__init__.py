"""What a micrograph costs, and memory over a thousand of them."""
