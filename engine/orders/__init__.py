"""The order module: orders, account state and the fast path. docs/orders.md is its contract."""
