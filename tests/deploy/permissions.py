"""The farm under the chart's NATS permissions: the programs work with the rendered environment, strangers are refused, KEDA gets the true lag."""

import json
import subprocess
import unittest
from contextlib import contextmanager

from helm import of_kind, render
from support import nats, suite
from support.farm import DOUBLE, Api, Farm, free_port, ready, wait_until

CASE = "multi-pool"
WORKING = ["planners", "painters", "critics"]
USERS = ["coordinator", *WORKING, "spare"]


def password(user: str) -> str:
    return f"secret-of-{user}"


class Rendered:
    """The objects of the value set, with the addresses of this machine put in."""

    def __init__(self):
        self.objects, _ = render(CASE)

    def accounts(self) -> str:
        maps = of_kind(self.objects, "ConfigMap")
        return next(m["data"]["accounts.conf"] for m in maps if "accounts.conf" in m["data"])

    def environment(self, component: str, addresses: dict) -> dict:
        """What the pod gets, secrets and places replaced."""
        deployments = of_kind(self.objects, "Deployment")
        pod = next(d for d in deployments if d["metadata"]["name"].endswith(component))["spec"]["template"]
        given = {v["name"]: v.get("value") for v in pod["spec"]["containers"][0]["env"]}
        return {**{name: value for name, value in given.items() if value is not None}, **addresses}

    def triggers(self) -> list:
        """(pool, trigger) of every ScaledObject."""
        scalers = of_kind(self.objects, "ScaledObject")
        return [(s["metadata"]["labels"]["atelier/pool"], t) for s in scalers for t in s["spec"]["triggers"]]


class UnderPermissions(unittest.TestCase):
    """One farm for all tests: the database of `atelier up`, NATS with the rendered accounts, programs with the rendered environment."""

    @classmethod
    def setUpClass(cls):
        cls.farm = Farm()
        cls.addClassCleanup(cls.farm.close)
        cls.rendered = Rendered()
        secrets = {f"ATELIER_NATS_{user.upper()}_PASSWORD": password(user) for user in USERS}
        cls.server = nats.Server(cls.farm.folder / "nats", cls.rendered.accounts(), secrets)
        cls.farm.processes.append(cls.server.process)
        cls.farm.sql("CREATE DATABASE permitted")
        (cls.farm.folder / "objects").mkdir()
        cls.port = free_port()
        cls.start("coordinator", "coordinator", "atelier-coordinator", ["serve"], {
            "ATELIER_LISTEN": f"127.0.0.1:{cls.port}",
            "ATELIER_DATABASE_URL": cls.farm.database_url("permitted"),
            "ATELIER_NATS_REPLICAS": "1",
        })
        url = f"http://127.0.0.1:{cls.port}"
        wait_until("the coordinator", lambda: ready(f"{url}/readyz"), cls.farm.processes[-1])
        cls.api = Api(url, cls.key())

    @classmethod
    def key(cls) -> str:
        done = subprocess.run(
            [str(suite.TARGET / "atelier-coordinator"), "key", "create", "--tenant", "test"],
            env={"ATELIER_DATABASE_URL": cls.farm.database_url("permitted")}, stdout=subprocess.PIPE, text=True, check=True,
        )
        return done.stdout.strip()

    @classmethod
    def start(cls, component: str, user: str, program: str, arguments, more: dict):
        addresses = {
            "ATELIER_NATS_URL": cls.server.url(f"atelier-{user}", password(user)),
            "ATELIER_STORE_URL": f"file://{cls.farm.folder / 'objects'}",
            **more,
        }
        return cls.farm.start(f"{component}-{free_port()}", program, arguments,
                              cls.rendered.environment(component, addresses))

    @classmethod
    @contextmanager
    def workers(cls, *pools: str):
        """A worker of each pool, with the pool's user and the test double in place of the networks."""
        started = [
            cls.start(f"pool-{pool}", pool, "atelier-worker", [], {
                **DOUBLE, "ATELIER_ADMIN_LISTEN": f"127.0.0.1:{free_port()}", "ATELIER_WORKER_NAME": pool,
                "ATELIER_DRAIN_MS": "3000", "ATELIER_NATS_REPLICAS": "1",
            })
            for pool in pools
        ]
        try:
            yield started
        finally:
            for process in started:
                code, said = process.stop(), process.said()
                cls.farm.processes.remove(process)
                # Without a stream a worker tries to make it, is refused, and waits until a coordinator has done it.
                refused = [line for line in said.splitlines()
                           if "permissions violation" in line.lower() and "$JS.API.STREAM.UPDATE.atelier-JOBS" not in line]
                assert (code, refused) == (0, []), said[-3000:]

    def client(self, user: str) -> nats.Client:
        client = nats.Client(self.server.port, f"atelier-{user}", password(user))
        self.addCleanup(client.close)
        self.assertEqual(client.refused, [], user)
        return client

    def here(self, trigger: dict) -> dict:
        """The rendered trigger, asked at this machine's NATS."""
        endpoint = f"127.0.0.1:{self.server.monitoring}"
        return {**trigger, "metadata": {**trigger["metadata"], "natsServerMonitoringEndpoint": endpoint}}

    def dispatched(self) -> dict:
        """Jobs that are in the stream, by kind, as the truth has it."""
        rows = self.farm.sql("SELECT kind, count(*) FROM jobs WHERE state = 'dispatched' GROUP BY kind", "permitted")
        return {kind: int(count) for kind, count in (row.split("|") for row in rows.splitlines())}

    def ended(self, requests) -> bool:
        return all(self.api.state(request) == "succeeded" for request in requests)

    def test_the_farm_works_and_keda_sees_the_true_lag(self):
        triggers = [(pool, self.here(trigger)) for pool, trigger in self.rendered.triggers()]
        self.assertEqual([pool for pool, _ in triggers], WORKING)
        kinds = ["plan", "render", "critique"]
        lags = lambda: {kind: nats.keda_lag(trigger) for kind, (_, trigger) in zip(kinds, triggers)}
        # The consumers are there before any worker is.
        self.assertEqual(lags(), {"plan": 0, "render": 0, "critique": 0})
        requests = [self.api.submit(f"a cat and {number} dogs [slow:60]") for number in range(30)]
        # Nobody works: enough is published to wake a pool that is at zero.
        wait_until("jobs wait", lambda: lags()["plan"] > 0)
        wait_until("the lag is the truth", lambda: lags() == {"plan": 0, "render": 0, "critique": 0, **self.dispatched()})
        self.assertEqual(lags()["plan"], 4)
        with self.workers(*WORKING):
            seen = dict.fromkeys(kinds, 0)

            def agrees_under_load() -> bool:
                # Between two equal readings of the truth nothing moved, so that the lag between them is of the same moment.
                before, lag, after = self.dispatched(), lags(), self.dispatched()
                if before == after == {k: v for k, v in lag.items() if v}:
                    for kind in kinds:
                        seen[kind] = max(seen[kind], lag[kind])
                return seen["plan"] > 0 and seen["render"] > 0

            wait_until("lag and truth agree while all work", agrees_under_load)
            wait_until("every request", lambda: self.ended(requests))
            wait_until("the queue is empty", lambda: not any(lags().values()))
        coordinator = next(p for p in self.farm.processes if p.name.startswith("coordinator"))
        self.assertNotIn("permissions violation", coordinator.said().lower())

    def test_a_wiped_stream_is_made_again_by_coordinators_only(self):
        with self.workers(*WORKING):
            admin = self.client("coordinator")
            inbox = "_INBOX.atelier-coordinator.wipe"
            answer = admin.request("$JS.API.STREAM.DELETE.atelier-JOBS", b"", inbox)
            self.assertTrue(answer["success"])
            request = self.api.submit("a cat after the flood")
            wait_until("the request", lambda: self.ended([request]))

    def test_what_a_pool_must_not_publish_is_refused(self):
        js = "$JS.API"
        for user, role, other in [("painters", "render", "plan"), ("planners", "plan", "critique")]:
            client = self.client(user)
            forbidden = [
                f"atelier.job.{role}.atelier-mini.normal", f"atelier.job.{other}.atelier-mini.normal",
                f"atelier.report.{other}", f"atelier.reports.{other}", "atelier.cancel", "atelier.quarantine.someone", "elsewhere",
                f"{js}.INFO", f"{js}.STREAM.NAMES", f"{js}.STREAM.LIST", f"{js}.STREAM.CREATE.mine",
                *(f"{js}.STREAM.{verb}.atelier-JOBS" for verb in ("CREATE", "UPDATE", "DELETE", "PURGE", "INFO")),
                *(f"{js}.STREAM.MSG.{verb}.atelier-JOBS" for verb in ("GET", "DELETE")),
                f"{js}.DIRECT.GET.atelier-JOBS", f"{js}.DIRECT.GET.atelier-JOBS.atelier.job.{role}.atelier-mini.normal",
                *(f"{js}.CONSUMER.{verb}.atelier-JOBS.atelier-{role}-atelier-mini" for verb in ("DELETE", "INFO", "PAUSE")),
                f"{js}.CONSUMER.CREATE.atelier-JOBS", f"{js}.CONSUMER.CREATE.atelier-JOBS.mine.atelier.job.>",
                f"{js}.CONSUMER.CREATE.atelier-JOBS.atelier-{role}-atelier-mini.atelier.job.>",
                f"{js}.CONSUMER.CREATE.atelier-JOBS.atelier-{other}-atelier-mini.atelier.job.{other}.atelier-mini.*",
                f"{js}.CONSUMER.DURABLE.CREATE.atelier-JOBS.mine",
                f"{js}.CONSUMER.MSG.NEXT.atelier-JOBS.atelier-{other}-atelier-mini",
                f"$JS.ACK.atelier-JOBS.atelier-{other}-atelier-mini.1.1.1.1.0",
                "_INBOX.atelier-coordinator.answer", f"_INBOX.atelier-{user}.answer", "$SYS.REQ.SERVER.PING",
            ]
            for subject in forbidden:
                refused = client.publish(subject)
                self.assertEqual(len(refused), 1, f"{user} may publish {subject}")
                self.assertIn("Permissions Violation for Publish", refused[0])
            for subject in [f"atelier.report.{role}", f"atelier.reports.{role}", "atelier.progress.one", "atelier.worker.one",
                            f"{js}.CONSUMER.MSG.NEXT.atelier-JOBS.atelier-{role}-atelier-mini"]:
                self.assertEqual(client.publish(subject), [], f"{user} may not publish {subject}")

    def test_what_a_pool_must_not_hear_is_refused(self):
        client = self.client("painters")
        for subject in [">", "*", "atelier.>", "atelier.job.>", "atelier.job.render.atelier-mini.*", "atelier.report.*",
                        "atelier.reports.*", "atelier.report.render", "atelier.progress.*", "atelier.worker.*", "_INBOX.>", "_INBOX.*.*",
                        "_INBOX.atelier-planners.>", "_INBOX.atelier-coordinator.>", "$JS.>", "$JS.EVENT.ADVISORY.>", "$SYS.>"]:
            refused = client.subscribe(subject)
            self.assertEqual(len(refused), 1, f"painters may hear {subject}")
            self.assertIn("Permissions Violation for Subscription", refused[0])
        for subject in ["atelier.cancel", "atelier.quarantine.me", "_INBOX.atelier-painters.>"]:
            self.assertEqual(client.subscribe(subject), [], f"painters may not hear {subject}")

    def test_a_consumer_cannot_be_widened_by_what_is_said_in_the_body(self):
        client = self.client("painters")
        consumer = "atelier-render-atelier-mini"
        for number, wrong in enumerate([
            {"durable_name": consumer, "filter_subject": "atelier.job.>", "ack_policy": "explicit"},
            {"durable_name": "mine", "filter_subject": "atelier.job.render.atelier-mini.*", "ack_policy": "explicit"},
        ]):
            body = json.dumps({"stream_name": "atelier-JOBS", "config": wrong}).encode()
            answer = client.request(f"$JS.API.CONSUMER.CREATE.atelier-JOBS.{consumer}.atelier.job.render.atelier-mini.*",
                                    body, f"_INBOX.atelier-painters.{number}")
            self.assertIn("error", answer, wrong)

    def test_strangers_are_kept_out(self):
        for user, secret in [("atelier-painters", "wrong"), ("atelier-planners", password("painters")), ("nobody", ""), ("", "")]:
            client = nats.Client(self.server.port, user, secret)
            self.addCleanup(client.close)
            self.assertIn("Authorization Violation", " ".join(client.refused), user)

    def test_a_consumer_that_is_not_there_is_an_error_and_no_zero(self):
        _, trigger = self.rendered.triggers()[0]
        trigger = self.here(trigger)
        trigger["metadata"]["consumer"] = "atelier-plan-another-model"
        with self.assertRaises(LookupError):
            nats.keda_lag(trigger)


if __name__ == "__main__":
    suite.run(__name__)
