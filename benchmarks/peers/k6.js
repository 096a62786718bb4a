// Sessions that begin at a constant rate: one GET each, or two steps with an extracted value and a check.
import { check } from 'k6';
import http from 'k6/http';

const scenario = __ENV.STEPS === '2';
const users = Number(__ENV.USERS);
const json = { headers: { 'Content-Type': 'application/json' } };

export const options = {
  discardResponseBodies: !scenario,
  summaryTrendStats: ['count', 'p(95)', 'p(99)', 'max'],
  scenarios: {
    load: {
      executor: 'constant-arrival-rate',
      rate: Number(__ENV.RATE),
      timeUnit: '1s',
      duration: `${__ENV.SECONDS}s`,
      preAllocatedVUs: users,
      maxVUs: users,
      gracefulStop: '3s',
    },
  },
};

export default function () {
  if (!scenario) {
    http.get(`${__ENV.URL}/k`);
    return;
  }
  const opened = http.post(`${__ENV.URL}/tickets`, JSON.stringify({ text: 'Where is my order?' }), json);
  const ticket = opened.json('ticket');
  const seen = http.get(`${__ENV.URL}/tickets/${ticket}`, { tags: { name: 'ticket' } });
  check(seen, { good: (answer) => answer.status === 200 && answer.json('ok') === true });
}

export function handleSummary(data) {
  const duration = data.metrics.http_req_duration.values;
  const failed = data.metrics.http_req_failed.values.rate;
  const checks = data.metrics.checks ? data.metrics.checks.values.rate : 1;
  return {
    stdout: JSON.stringify({
      requests: data.metrics.http_reqs.values.count,
      p95_ms: duration['p(95)'],
      p99_ms: duration['p(99)'],
      maximum_ms: duration.max,
      errors_percent: 100 * Math.max(failed, 1 - checks),
    }),
  };
}
