"""The containers service: one actor for each container, and what is done and shown of them."""
