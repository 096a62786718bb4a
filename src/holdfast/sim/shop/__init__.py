"""A stand-in for the client's support system: twenty pods, two versions side by side, a CRM behind them."""
