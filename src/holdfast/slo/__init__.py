"""Service levels: SLIs, SLOs, error budgets, burn rates, and the Prometheus rules made from them."""
