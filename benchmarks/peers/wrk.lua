-- Says as JSON what wrk measured; its own text has no 95th percentile.
function done(summary, latency, requests)
  local errors = summary.errors
  local wrong = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format(
    '\n{"requests": %d, "p95_ms": %.3f, "p99_ms": %.3f, "maximum_ms": %.3f, "errors_percent": %.3f, "rate": %.1f}\n',
    summary.requests, latency:percentile(95) / 1000, latency:percentile(99) / 1000, latency.max / 1000,
    100 * wrong / math.max(summary.requests, 1), summary.requests / summary.duration * 1e6))
end
