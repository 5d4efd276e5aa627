"""The simulator as an exchange: accounts, orders, positions, and what the venue says of them."""
