"""What bodies look like, a dialect per path: the lane carries bytes, a dialect reads and writes them."""
