"""The dashboards as code: `python3 -B deploy/grafana/dashboards.py` writes farm.json, quality.json, worker.json and slo.json beside it.

A panel is a title, what it tells, and queries; positions follow from the order. Grafana 10 or later (schema version 39).
"""

import json
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
RATE = "[$__rate_interval]"


def rate(metric: str, labels: str = "") -> str:
    return f"rate(atelier_{metric}{labels}{RATE})"


def where(label: str, operator: str, value: str) -> str:
    return f'{{{label}{operator}"{value}"}}'


def quantile(q: float, metric: str, by: str = "") -> str:
    return f"histogram_quantile({q}, sum by (le{', ' + by if by else ''}) ({rate(metric + '_bucket')}))"


def mean(metric: str, by: str = "") -> str:
    over = f" by ({by})" if by else ""
    return f"sum{over} ({rate(metric + '_sum')}) / sum{over} ({rate(metric + '_count')})"


def share(part: str, whole: str) -> str:
    return f"{part} / ({whole} > 0)"


class Panel:
    def __init__(self, title: str, about: str, unit: str, *queries, kind: str = "timeseries", width: int = 8, stack: bool = False):
        self.title, self.about, self.unit, self.kind, self.width, self.stack = title, about, unit, kind, width, stack
        self.queries = queries

    def json(self, number: int, x: int, y: int) -> dict:
        custom = {} if self.kind != "timeseries" else {
            "drawStyle": "line", "lineWidth": 1, "fillOpacity": 20 if self.stack else 5, "showPoints": "never",
            "stacking": {"group": "A", "mode": "normal" if self.stack else "none"},
        }
        options = {
            "timeseries": {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
                           "tooltip": {"mode": "multi", "sort": "desc"}},
            "stat": {"colorMode": "value", "graphMode": "area", "justifyMode": "auto", "orientation": "auto", "textMode": "auto",
                     "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}},
        }[self.kind]
        return {
            "id": number, "title": self.title, "description": self.about, "type": self.kind, "datasource": SOURCE,
            "gridPos": {"h": 8 if self.kind == "timeseries" else 4, "w": self.width, "x": x, "y": y},
            "fieldConfig": {"defaults": {"unit": self.unit, "custom": custom, "min": 0}, "overrides": []},
            "options": options,
            "targets": [
                {"refId": chr(ord("A") + index), "datasource": SOURCE, "expr": expression, "legendFormat": legend, "editorMode": "code",
                 "range": True}
                for index, (legend, expression) in enumerate(self.queries)
            ],
        }


def dashboard(name: str, title: str, about: str, panels) -> dict:
    placed, x, y, height = [], 0, 0, 0
    for number, panel in enumerate(panels, 1):
        if x + panel.width > 24:
            x, y, height = 0, y + height, 0
        placed.append(panel.json(number, x, y))
        height = max(height, placed[-1]["gridPos"]["h"])
        x += panel.width
    return {
        "uid": f"atelier-{name}", "title": f"Atelier / {title}", "description": about, "tags": ["atelier"], "schemaVersion": 39,
        "version": 1, "editable": True, "graphTooltip": 1, "refresh": "30s", "timezone": "browser", "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [{
            "name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "hide": 0, "multi": False,
            "includeAll": False, "options": [], "refresh": 1, "regex": "", "skipUrlSync": False,
        }]},
        "links": [{"asDropdown": True, "icon": "external link", "includeVars": True, "keepTime": True, "tags": ["atelier"],
                   "targetBlank": False, "title": "Atelier", "tooltip": "", "type": "dashboards", "url": ""}],
        "annotations": {"list": []}, "panels": placed,
    }


SUCCEEDED = f'sum ({rate("requests_ended_total", where("state", "=", "succeeded"))})'
CHECKED = '{result!="unchecked"}'

# Series of every coordinator are the same where they are read from the database: take one of them.
JOBS = "(max by (kind, state, priority, model) (atelier_jobs))"

FARM = [
    Panel("Pictures a second", "Requests that ended with a picture.", "reqps", ("pictures", SUCCEEDED), kind="stat", width=4),
    Panel("Active jobs", "Ready or dispatched, of the whole farm.", "short",
          ("jobs", f"sum {JOBS}"), kind="stat", width=4),
    Panel("Oldest waiting job", "Age of the oldest job that is ready and not dispatched.", "s",
          ("age", "max (atelier_oldest_ready_job_seconds)"), kind="stat", width=4),
    Panel("Workers", "Workers that gave a sign of life lately and take render jobs.", "short",
          ("workers", 'max (atelier_workers{role="render"})'), kind="stat", width=4),
    Panel("Device use", "Share of the workers' time that is spent computing: near 1 more workers draw more.", "percentunit",
          ("use", f"sum ({rate('worker_device_seconds_sum')}) / count (atelier_worker_holding)"), kind="stat", width=4),
    Panel("Failing requests", "Share of the requests that end without a picture and were not canceled.", "percentunit",
          ("failing", "atelier:requests_failed:ratio_rate5m"), kind="stat", width=4),

    Panel("Requests", "Accepted, refused because a tenant's queue was full, and ended by state.", "reqps",
          ("accepted", f"sum ({rate('requests_accepted_total')})"), ("refused", f"sum ({rate('submits_refused_total')})"),
          ("{{state}}", f"sum by (state) ({rate('requests_ended_total')})")),
    Panel("Queue", "Jobs by kind and state. Ready jobs wait in PostgreSQL, dispatched ones are in the stream or in hands.", "short",
          ("{{kind}} {{state}}", f"sum by (kind, state) {JOBS}"), stack=True),
    Panel("Age of the queue", "Oldest ready job by kind and priority.", "s",
          ("{{kind}} {{priority}}", "max by (kind, priority) (atelier_oldest_ready_job_seconds)")),

    Panel("Time to picture", "Between acceptance and end of successful requests.", "s",
          *((f"p{int(q * 100)}", quantile(q, "request_duration_seconds")) for q in (0.5, 0.9, 0.99))),
    Panel("Waiting of jobs", "Between being ready and the end, less the time on the device: p90 by kind.", "s",
          ("{{kind}}", quantile(0.9, "job_wait_seconds", "kind"))),
    Panel("Workers by role", "Signs of life in the last seconds.", "short", ("{{role}}", "max by (role) (atelier_workers)")),

    Panel("Device seconds by kind", "Devices in use, by what they compute: planning is the share of thought.", "short",
          ("{{kind}}", f"sum by (kind) ({rate('device_seconds_sum')})"), stack=True),
    Panel("Share of thought", "Device time for planning and for looking, of all device time.", "percentunit",
          ("{{kind}}", f"sum by (kind) ({rate('device_seconds_sum')}) / ignoring (kind) group_left sum ({rate('device_seconds_sum')})")),
    Panel("Cost of a picture", "Device seconds for each request that ended with a picture.", "s",
          ("device seconds", share(f"sum ({rate('device_seconds_sum')})", SUCCEEDED))),

    Panel("HTTP", "Answers by outcome: refused is 4xx, failed is 5xx.", "reqps",
          ("{{outcome}}", f"sum by (outcome) ({rate('http_request_seconds_count')})")),
    Panel("HTTP latency", "Until the head of the answer, p99 by path.", "s",
          ("{{method}} {{path}}", quantile(0.99, "http_request_seconds", "method, path"))),
    Panel("Durable answer to a submit", "Between a submit's arrival and its commit.", "s",
          *((f"p{int(q * 100)}", quantile(q, "submit_seconds")) for q in (0.5, 0.99))),

    Panel("Commits", "p99 of their time by operation.", "s", ("{{operation}}", quantile(0.99, "commit_seconds", "operation"))),
    Panel("Things in one commit", "Mean size of a group commit by operation.", "short", ("{{operation}}", mean("commit_size", "operation"))),
    Panel("Messages", "Jobs that were published, by kind, and those that needed no claim.", "ops",
          ("{{kind}}", f"sum by (kind) ({rate('jobs_published_total')})"), ("without a claim", f"sum ({rate('jobs_chained_total')})")),

    Panel("Object store", "p99 of what coordinators and workers wait for it, by operation.", "s",
          ("{{operation}}", quantile(0.99, "object_store_seconds", "operation"))),
    Panel("Bus", "p99 until the stream has a job (publish) and until a coordinator answered a report (report).", "s",
          ("{{operation}}", quantile(0.99, "bus_seconds", "operation"))),
    Panel("Answers of store and bus", "By outcome; what is damaged or failed is tried again.", "ops",
          ("store {{outcome}}", f"sum by (outcome) ({rate('object_store_seconds_count')})"),
          ("bus {{outcome}}", f"sum by (outcome) ({rate('bus_seconds_count')})")),

    Panel("Trouble", "What costs time and no job: each has an entry in the runbook.", "ops",
          ("leases that ran out", f"sum ({rate('leases_expired_total')})"), ("messages lost", f"sum ({rate('messages_lost_total')})"),
          ("not published", f"sum ({rate('publish_failures_total')})"), ("taken back", f"sum ({rate('jobs_taken_back_total')})"),
          ("unreadable {{message}}", f"sum by (message) ({rate('malformed_messages_total')})"),
          ("retries of {{kind}}", f"sum by (kind) ({rate('job_retries_total')})")),
    Panel("Reports", "Answers to workers' reports: superseded ones came too late, early ones too soon and come again.", "ops",
          ("{{kind}} {{answer}}", f"sum by (kind, answer) ({rate('reports_total')})")),
    Panel("Beside the work", "Traces that were stored, objects that were swept, webhooks and costs of pods by outcome, and readers of events at the moment.", "short",
          ("webhooks {{outcome}} a second", f"sum by (outcome) ({rate('webhook_deliveries_total')})"),
          ("pods' costs {{outcome}} a second", f"sum by (outcome) ({rate('pod_deletion_cost_writes_total')})"),
          ("traces a second", f"sum ({rate('traces_stored_total')})"), ("objects swept a second", f"sum ({rate('objects_swept_total')})"),
          ("event readers", "sum (atelier_event_readers)")),
]

QUALITY = [
    Panel("First try", "Of the pictures that were looked at, those in which nothing failed at once.", "percentunit",
          ("first try", "atelier:first_try:ratio_rate1h"), kind="stat", width=6),
    Panel("Right in the end", "First try or mended.", "percentunit",
          ("right", share(f'sum ({rate("request_quality_total", where("result", "=~", "first_try|mended"))})',
                          f"sum ({rate('request_quality_total', CHECKED)})")), kind="stat", width=6),
    Panel("Rounds", "Passes of drawing and looking for each picture.", "none", ("rounds", mean("request_rounds")), kind="stat", width=6),
    Panel("Plans made", "Plans that were made, of those that were tried; the rest were drawn from the prompt as it is.", "percentunit",
          ("made", share(f'sum ({rate("plans_total", where("result", "=", "made"))})', f"sum ({rate('plans_total')})")),
          kind="stat", width=6),

    Panel("What became of requests", "By the critique: right at once, mended, improved, not mended, never looked at.", "reqps",
          ("{{result}}", f"sum by (result) ({rate('request_quality_total')})"), stack=True, width=12),
    Panel("Drawing again", "Whether another drawing beat the best before it. A worse one is never kept.", "ops",
          ("{{effect}}", f"sum by (effect) ({rate('redraws_total')})"), stack=True, width=12),

    Panel("Checks that pass", "Share of pass among the answered, by kind of check.", "percentunit",
          ("{{kind}}", share(f'sum by (kind) ({rate("checks_total", where("answer", "=", "pass"))})',
                             f'sum by (kind) ({rate("checks_total", where("answer", "!=", "unknown"))})')), width=12),
    Panel("Checks without an answer", "Share of unknown, by kind of check: what the critic cannot see.", "percentunit",
          ("{{kind}}", share(f'sum by (kind) ({rate("checks_total", where("answer", "=", "unknown"))})',
                             f"sum by (kind) ({rate('checks_total')})")), width=12),

    Panel("Words that plans cover", "Share of the prompts' words with a meaning of their own that plans are made of, by how much was thought.", "percentunit",
          ("{{think}}", mean("plan_coverage_ratio", "think"))),
    Panel("Words left out", "Words a second that no part of a plan comes from; each plan's notes name its own.", "ops",
          ("{{word}}", f'sum by (word) ({rate("plan_words_total", where("word", "=", "uncited"))})')),
    Panel("Plans that cover all", "Share of plans that leave out no word.", "percentunit",
          ("cover all", f"1 - sum ({rate('plan_coverage_ratio_bucket', where('le', '=', '0.99'))}) / sum ({rate('plan_coverage_ratio_count')})")),

    Panel("Plans", "Made, and given up for the prompt as it is.", "ops", ("{{result}}", f"sum by (result) ({rate('plans_total')})")),
    Panel("What thinking costs in time", "Time to picture, p50, with and without a plan.", "s",
          ("{{think}}", quantile(0.5, "request_duration_seconds", "think"))),
    Panel("Rounds of pictures", "Share of pictures that were done within a round.", "percentunit",
          ("{{le}} rounds", f"sum by (le) ({rate('request_rounds_bucket')}) / ignoring (le) group_left sum ({rate('request_rounds_count')})")),
]

WORKER = [
    Panel("Device use", "Share of its time that each worker computes.", "percentunit",
          ("{{instance}}", f"sum by (instance) ({rate('worker_device_seconds_sum')})"), width=12),
    Panel("Made before", "Drawings and drafts that were looked for: there (hit), or made (miss).", "ops",
          ("{{cache}} {{outcome}}", f"sum by (cache, outcome) ({rate('worker_cache_total')})"), width=12),
    Panel("In hands", "Jobs that each worker holds: one on the device, the next being fetched, the last being stored.", "short",
          ("{{instance}}", "sum by (instance) (atelier_worker_holding)"), width=12),
    Panel("Device time of a job", "p90 by kind, as workers measure it; of a batch its share.", "s",
          ("{{kind}}", quantile(0.9, "worker_device_seconds", "kind"))),
    Panel("Attempts", "By kind and outcome. Returned: canceled, superseded or drained.", "ops",
          ("{{kind}} {{outcome}}", f"sum by (kind, outcome) ({rate('worker_attempts_total')})")),
    Panel("Drawings at once", "Mean size of a batch.", "none", ("batch", mean("render_batch_size"))),
    Panel("Answers to reports", "As workers get them.", "ops", ("{{answer}}", f"sum by (answer) ({rate('worker_answers_total')})")),
    Panel("Trouble", "Reports sent again, unreadable messages, second deliveries.", "ops",
          ("reports again", f"sum ({rate('worker_report_retries_total')})"), ("unreadable", f"sum ({rate('worker_malformed_total')})"),
          ("delivered twice", f"sum ({rate('worker_duplicates_total')})")),
    Panel("Kept from work", "Kinds that coordinators keep a worker from because it keeps failing at them.", "short",
          ("{{instance}} {{kind}}", "max by (instance, kind) (atelier_worker_kept_from)")),
    Panel("Loading", "Seconds that loading the model took, by worker.", "s", ("{{instance}}", "max by (instance) (atelier_worker_load_seconds)")),
    Panel("Draining", "Workers that finish and take nothing new.", "short", ("draining", "sum (atelier_worker_draining)")),
    Panel("Versions", "Processes by program and version.", "short", ("{{program}} {{version}}", "count by (program, version) (atelier_build_info)")),
    Panel("Spans", "Of traces over OTLP, of workers and coordinators: exported, dropped (too many waited) or failed (not taken). None without a receiver.", "ops",
          ("{{outcome}}", f"sum by (outcome) ({rate('spans_total')})")),
]

SLO = [
    Panel("Interactive in time", "Share of interactive requests that are done within a minute, over an hour. Target: 99 %.", "percentunit",
          ("in time", "1 - atelier:interactive_slow:ratio_rate1h"), kind="stat", width=6),
    Panel("Budget burnt", "How many times faster than allowed slow interactive requests use up the month's budget (1 %).", "none",
          ("burn rate", "atelier:interactive_slow:ratio_rate1h / 0.01"), kind="stat", width=6),
    Panel("Without failure", "Share of the requests that do not fail. Target: 99.9 %.", "percentunit",
          ("without failure", "1 - atelier:requests_failed:ratio_rate1h"), kind="stat", width=6),
    Panel("Submits in time", "Share of submits that are durable within a quarter of a second. Target: 99.9 %.", "percentunit",
          ("in time", "1 - atelier:submits_slow:ratio_rate1h"), kind="stat", width=6),
    Panel("Interactive requests: burn rate", "Over five minutes, an hour and six hours. Above 14.4 over an hour somebody is called, above 6 over six hours as well.",
          "none", ("5 minutes", "atelier:interactive_slow:ratio_rate5m / 0.01"), ("1 hour", "atelier:interactive_slow:ratio_rate1h / 0.01"),
          ("6 hours", "atelier:interactive_slow:ratio_rate6h / 0.01"), width=12),
    Panel("Failing requests", "Share of the requests that end without a picture and were not canceled.", "percentunit",
          ("5 minutes", "atelier:requests_failed:ratio_rate5m"), ("1 hour", "atelier:requests_failed:ratio_rate1h"), width=12),
    Panel("Time to picture by priority", "p90 of successful requests.", "s",
          ("{{priority}}", quantile(0.9, "request_duration_seconds", "priority")), width=12),
    Panel("Nothing is lost", "Requests accepted less requests ended since the coordinators started: what is active. It must come back to zero when submits stop.",
          "short", ("active", "sum (atelier_requests_accepted_total) - sum (atelier_requests_ended_total)"), width=12),
]

DASHBOARDS = {
    "farm": ("Farm", "Throughput, queue, saturation and cost of the whole farm.", FARM),
    "quality": ("Quality", "How well pictures obey their plans, and what drawing again is worth.", QUALITY),
    "worker": ("Worker", "What workers and their devices do.", WORKER),
    "slo": ("SLO", "What was promised, and how fast the budget burns.", SLO),
}


def texts() -> dict:
    """File name -> JSON."""
    made = {name: dashboard(name, *parts) for name, parts in DASHBOARDS.items()}
    return {f"{name}.json": json.dumps(content, indent=1) + "\n" for name, content in made.items()}


if __name__ == "__main__":
    for name, text in texts().items():
        (HERE / name).write_text(text)
