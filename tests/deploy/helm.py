"""The chart: rendered by the real Helm engine, held against strict schemas and against what the programs know. It is not an install."""

import functools
import json
import re
import subprocess
import unittest

from support import schemas, suite, values_table
from support.helm import Engine, HelmError

CHART = suite.ROOT / "helm/atelier"
ENGINE = Engine()
CASES = sorted(path.stem for path in (CHART / "ci").glob("*.yaml"))
# What is asked of an S3 client's environment.
AWS = {"AWS_REGION", "AWS_ENDPOINT", "AWS_ALLOW_HTTP", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}

# What OpenTelemetry's own crates read.
OTEL = {"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_RESOURCE_ATTRIBUTES"}


def values(case: str) -> dict:
    return ENGINE.yaml((CHART / f"ci/{case}.yaml").read_text())


@functools.lru_cache(maxsize=None)
def rendered(case: str) -> dict:
    return ENGINE.render(CHART, values(case))


def render(case: str):
    """(objects, notes) of a value set."""
    texts = rendered(case)
    notes = next(text for name, text in texts.items() if name.endswith("NOTES.txt"))
    manifests = [text for name, text in sorted(texts.items()) if not name.endswith("NOTES.txt")]
    return [document for text in manifests for document in ENGINE.documents(text)], notes


def of_kind(objects, kind: str) -> list:
    return [item for item in objects if item["kind"] == kind]


def pod_templates(objects) -> list:
    """(name, pod template) of everything that makes pods."""
    makers = of_kind(objects, "Deployment") + of_kind(objects, "Job")
    return [(maker["metadata"]["name"], maker["spec"]["template"]) for maker in makers]


def containers(template) -> list:
    return template["spec"].get("initContainers", []) + template["spec"]["containers"]


def matching(objects, selector: dict) -> list:
    """Pod templates that a selector finds."""
    return [template for _, template in pod_templates(objects)
            if selector.items() <= template["metadata"]["labels"].items()]


def variables_of(*command: str) -> set:
    """The environment that a program reads, as its help says."""
    done = subprocess.run([str(suite.TARGET / command[0]), *command[1:], "--help"],
                          stdout=subprocess.PIPE, check=True, text=True)
    return set(re.findall(r"\[env:\s+((?:ATELIER|OTEL)_[A-Z0-9_]+)", done.stdout))


class Rendering(unittest.TestCase):
    def test_every_value_set_passes_lint_and_strict_schemas(self):
        self.assertGreaterEqual(len(CASES), 5)
        for case in CASES:
            # 0 unknown, 1 info, 2 warning, 3 error.
            said = [m for m in ENGINE.lint(CHART, values(case)) if m["severity"] >= 2]
            self.assertEqual(said, [], case)
            objects, _ = render(case)
            for minor in schemas.VERSIONS:
                for item in objects:
                    wrong = schemas.check(item, minor)
                    if minor < 33 and uses_image_volume(item):
                        self.assertEqual(len(wrong), 1, "image volumes came with 1.31")
                        wrong = []
                    self.assertEqual(wrong, [], f"{case}, Kubernetes 1.{minor}: {item['kind']} {item['metadata']['name']}")

    def test_the_schemas_can_refuse(self):
        objects, _ = render("full")
        for kind, field in [("Deployment", "replica"), ("ScaledObject", "pollInterval"), ("PodMonitor", "endpoints"),
                            ("PrometheusRule", "rules"), ("NetworkPolicy", "podselector")]:
            item = of_kind(objects, kind)[0]
            self.assertEqual(schemas.check(item, 33), [])
            item["spec"][field] = 1
            self.assertEqual(len(schemas.check(item, 33)), 1, kind)
        scaler = of_kind(objects, "ScaledObject")[0]
        del scaler["spec"]["pollInterval"]
        scaler["spec"]["triggers"][0]["metadata"]["lagThreshold"] = 4
        self.assertEqual(len(schemas.check(scaler, 33)), 1, "KEDA's metadata are strings")

    def test_values_that_make_no_sense_are_refused_in_words(self):
        def pool(**more):
            return {"name": "one", "roles": ["plan"], **more}
        for wrong, said in [
            ({"pools": []}, "minItems"),
            ({"pools": [pool(roles=["draw"])]}, "roles"),
            ({"pools": [pool(), pool()]}, "named twice"),
            ({"pools": [pool(gpus=1)]}, "gpus"),
            ({"pools": [pool(model={"claim": "a", "hostPath": "/b"})]}, "model"),
            ({"keda": {"enabled": True}, "pools": [pool(), pool(name="two")]}, "both scale on the queue of plan jobs"),
            ({"prefix": "a.b"}, "prefix"),
            ({"nats": {"streamReplicas": 2}}, "streamReplicas"),
            ({"replicaCount": 1}, "replicaCount"),
        ]:
            with self.assertRaises(HelmError) as refused:
                ENGINE.render(CHART, wrong)
            self.assertIn(said, str(refused.exception))

    def test_every_value_is_described_and_has_a_default_that_fits(self):
        schema = json.loads((CHART / "values.schema.json").read_text())
        defaults = ENGINE.yaml((CHART / "values.yaml").read_text())

        def look(part, where):
            self.assertTrue(part.get("description"), where)
            for name, inner in part.get("properties", {}).items():
                look(inner, f"{where}.{name}")
            look_items = part.get("items")
            if isinstance(look_items, dict) and "properties" in look_items:
                look(look_items, f"{where}[]")

        for name, part in schema["properties"].items():
            look(part, name)
            if name not in ("global", "pools"):
                self.assertIn(name, defaults)
                self.assertLessEqual(set(defaults[name]) if isinstance(defaults[name], dict) else set(),
                                     set(part.get("properties", {})))
                if "properties" in part:
                    self.assertEqual(set(part["properties"]), set(defaults[name]), name)

    def test_the_readme_tells_the_values_of_the_schema(self):
        readme = (CHART / "README.md").read_text()
        self.assertIn(values_table.of_chart(CHART, ENGINE), readme, "run: python3 -B tests/deploy/support/values_table.py")


class References(unittest.TestCase):
    """Whatever is named somewhere is there."""

    @staticmethod
    def each() -> list:
        return [render(case) for case in CASES]

    def test_selectors_ports_and_targets_resolve(self):
        for objects, _ in self.each():
            for maker in of_kind(objects, "Deployment"):
                wanted = maker["spec"]["selector"]["matchLabels"]
                self.assertEqual(len(matching(objects, wanted)), 1, "each Deployment finds its own pods alone")
            for name, template in pod_templates(objects):
                for container in containers(template):
                    ports = {port["name"] for port in container.get("ports", [])}
                    probes = [container[p] for p in ("startupProbe", "livenessProbe", "readinessProbe") if p in container]
                    for probe in probes:
                        self.assertIn(probe["httpGet"]["port"], ports, name)
                    volumes = {volume["name"] for volume in template["spec"].get("volumes", [])}
                    mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
                    self.assertLessEqual(mounted, volumes, name)
            for service in of_kind(objects, "Service"):
                found = matching(objects, service["spec"]["selector"])
                self.assertEqual(len(found), 1)
                ports = {p["name"] for c in containers(found[0]) for p in c["ports"]}
                self.assertLessEqual({p["targetPort"] for p in service["spec"]["ports"]}, ports)
            for policy in of_kind(objects, "NetworkPolicy"):
                found = matching(objects, policy["spec"]["podSelector"]["matchLabels"])
                self.assertTrue(found, policy["metadata"]["name"])
                ports = {p["name"] for t in found for c in containers(t) for p in c.get("ports", [])}
                named = {p["port"] for rule in policy["spec"].get("ingress", []) for p in rule["ports"]}
                self.assertLessEqual({p for p in named if isinstance(p, str)}, ports)
            names = {(item["kind"], item["metadata"]["name"]) for item in objects}
            for scaler in of_kind(objects, "ScaledObject") + of_kind(objects, "HorizontalPodAutoscaler"):
                target = scaler["spec"]["scaleTargetRef"]
                self.assertIn((target.get("kind", "Deployment"), target["name"]), names)
                deployment = next(d for d in of_kind(objects, "Deployment") if d["metadata"]["name"] == target["name"])
                self.assertNotIn("replicas", deployment["spec"], "a scaler and an upgrade would fight over it")
            for budget in of_kind(objects, "PodDisruptionBudget"):
                self.assertTrue(matching(objects, budget["spec"]["selector"]["matchLabels"]))
            for _, template in pod_templates(objects):
                account = template["spec"].get("serviceAccountName")
                self.assertTrue(account is None or ("ServiceAccount", account) in names)

    def test_monitors_find_what_has_metrics(self):
        objects, _ = render("full")
        services = [s for s in of_kind(objects, "Service")]
        monitor = of_kind(objects, "ServiceMonitor")[0]["spec"]
        found = [s for s in services if monitor["selector"]["matchLabels"].items() <= s["metadata"]["labels"].items()]
        self.assertEqual(len(found), 1)
        self.assertIn(monitor["endpoints"][0]["port"], {p["name"] for p in found[0]["spec"]["ports"]})
        monitor = of_kind(objects, "PodMonitor")[0]["spec"]
        pods = matching(objects, monitor["selector"]["matchLabels"])
        self.assertEqual(len(pods), len(values("full")["pools"]))
        for pod in pods:
            ports = {p["name"] for c in containers(pod) for p in c.get("ports", [])}
            self.assertIn(monitor["podMetricsEndpoints"][0]["port"], ports)

    def test_the_environment_is_what_the_programs_read(self):
        known = {
            "coordinator": variables_of("atelier-coordinator", "serve"),
            "migrate": variables_of("atelier-coordinator", "migrate"),
            "worker": variables_of("atelier-worker"),
        }
        for objects, _ in self.each():
            for name, template in pod_templates(objects):
                for container in template["spec"]["containers"]:
                    given = {variable["name"] for variable in container["env"]}
                    ours = {variable for variable in given if variable.startswith(("ATELIER_", "OTEL_"))} - OTEL
                    self.assertLessEqual(ours, known[container["name"]], name)
                    others = given - ours - AWS - OTEL - {"CUDA_MODULE_LOADING"}
                    self.assertEqual(others, set(), name)

    def test_every_secret_is_announced(self):
        for objects, notes in self.each():
            for name, template in pod_templates(objects):
                for container in containers(template):
                    for variable in container.get("env", []):
                        source = variable.get("valueFrom", {}).get("secretKeyRef")
                        if source:
                            self.assertIn(f"secret {source['name']} with key {source['key']}:", notes, name)
                        elif re.search("PASSWORD|SECRET|TOKEN", variable["name"]):
                            self.fail(f"{name}: {variable['name']} is no reference")

    def test_pods_run_without_rights(self):
        for objects, _ in self.each():
            for name, template in pod_templates(objects):
                spec = template["spec"]
                self.assertIs(spec["automountServiceAccountToken"], False, name)
                self.assertIs(spec["securityContext"]["runAsNonRoot"], True, name)
                self.assertEqual(spec["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"}, name)
                for container in containers(template):
                    self.assertEqual(container["securityContext"], {
                        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    }, name)
                    self.assertNotIn("privileged", container["securityContext"])

    def test_every_container_says_what_it_needs(self):
        for objects, _ in self.each():
            for name, template in pod_templates(objects):
                for container in containers(template):
                    self.assertTrue(container.get("resources"), f"{name}: {container['name']} may be evicted first")

    def test_the_grace_period_holds_the_drain(self):
        for objects, _ in self.each():
            for name, template in pod_templates(objects):
                for container in template["spec"]["containers"]:
                    given = {v["name"]: v.get("value") for v in container["env"]}
                    drain_s = int(given.get("ATELIER_DRAIN_MS") or 0) / 1000 or int(given.get("ATELIER_GRACE_S") or 0)
                    if drain_s:
                        self.assertGreater(template["spec"]["terminationGracePeriodSeconds"], drain_s + 5, name)
                    self.assertNotIn("lifecycle", container, "a hook before the stop would take from the drain")

    def test_gpu_pools_roll_in_place(self):
        for objects, _ in self.each():
            for maker in of_kind(objects, "Deployment"):
                if "-pool-" in maker["metadata"]["name"]:
                    rolling = maker["spec"]["strategy"]["rollingUpdate"]
                    self.assertEqual(rolling, {"maxSurge": 0, "maxUnavailable": 1})

    def test_workers_cannot_reach_the_database(self):
        objects, _ = render("full")
        policies = {p["metadata"]["labels"]["app.kubernetes.io/component"]: p for p in of_kind(objects, "NetworkPolicy")}
        ports = {name: sorted({port["port"] for rule in p["spec"]["egress"] for port in rule["ports"]})
                 for name, p in policies.items()}
        self.assertEqual(ports, {"coordinator": [53, 443, 4222, 4318, 5432, 6443], "worker": [53, 443, 4222, 4318], "migrate": [53, 5432]})
        self.assertEqual(policies["worker"]["spec"]["ingress"][0]["ports"], [{"port": "admin", "protocol": "TCP"}])
        self.assertNotIn("ingress", policies["migrate"]["spec"])
        for policy in policies.values():
            self.assertEqual(policy["spec"]["policyTypes"], ["Ingress", "Egress"])

    def test_only_a_farm_with_a_receiver_of_traces_may_reach_one(self):
        for case in CASES:
            objects, _ = render(case)
            told = bool(values(case).get("otlp"))
            for name, template in pod_templates(objects):
                given = {v["name"] for c in template["spec"]["containers"] for v in c["env"]}
                self.assertEqual("OTEL_EXPORTER_OTLP_ENDPOINT" in given, told and "migrate" not in name, (case, name))
            out = {port["port"] for p in of_kind(objects, "NetworkPolicy") for rule in p["spec"]["egress"] for port in rule["ports"]}
            self.assertEqual(4318 in out, told and bool(out), case)

    def test_only_coordinators_talk_to_kubernetes_and_only_where_that_is_wanted(self):
        self.assertEqual({"podDeletionCost" in values(case) for case in CASES}, {False, True})
        for case in CASES:
            objects, _ = render(case)
            wanted = values(case).get("podDeletionCost", {}).get("enabled", False)
            templates = dict(pod_templates(objects))
            makers = ["farm-atelier-coordinator"] if wanted else []
            self.assertEqual([name for name, template in templates.items() if has_token(template)], makers, case)
            for account in of_kind(objects, "ServiceAccount"):
                self.assertIs(account["automountServiceAccountToken"], False, case)
            roles, bindings = of_kind(objects, "Role"), of_kind(objects, "RoleBinding")
            self.assertEqual((len(roles), len(bindings)), (len(makers), len(makers)), case)
            self.assertEqual(of_kind(objects, "ClusterRole") + of_kind(objects, "ClusterRoleBinding"), [])
            accounts = {name: template["spec"].get("serviceAccountName") for name, template in templates.items()}
            given = {name for name, template in templates.items() for c in containers(template)
                     for v in c.get("env", []) if v["name"] == "ATELIER_POD_DELETION_COST"}
            self.assertEqual(sorted(given), makers, case)
            out = {p["metadata"]["name"] for p in of_kind(objects, "NetworkPolicy") for rule in p["spec"]["egress"]
                   for port in rule["ports"] if port["port"] == 6443}
            self.assertEqual(sorted(out), makers if of_kind(objects, "NetworkPolicy") else [], case)
            if not wanted:
                self.assertEqual(set(accounts.values()) - {None}, {"farm-atelier"}, case)
                continue
            self.assertEqual(roles[0]["rules"], [{"apiGroups": [""], "resources": ["pods"], "verbs": ["patch"]}])
            self.assertEqual(bindings[0]["roleRef"]["name"], roles[0]["metadata"]["name"])
            subject = bindings[0]["subjects"][0]
            self.assertEqual((len(bindings[0]["subjects"]), subject["kind"], subject["namespace"]), (1, "ServiceAccount", "graphics"))
            self.assertEqual([name for name, account in accounts.items() if account == subject["name"]], makers, case)

    def test_a_workers_name_is_its_pods_and_begins_as_coordinators_expect(self):
        objects, _ = render("multi-pool")
        coordinator = containers(matching(objects, {"app.kubernetes.io/component": "coordinator"})[0])[0]
        prefix = {v["name"]: v.get("value") for v in coordinator["env"]}["ATELIER_POD_DELETION_COST"]
        for maker in of_kind(objects, "Deployment"):
            name, template = maker["metadata"]["name"], maker["spec"]["template"]
            works = template["metadata"]["labels"]["app.kubernetes.io/component"] == "worker"
            # A pod's name begins with its Deployment's.
            self.assertEqual(name.startswith(prefix), works, name)
            if works:
                self.assertIn({"name": "ATELIER_WORKER_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                              containers(template)[0]["env"])

    def test_coordinators_find_the_account_where_they_look(self):
        done = subprocess.run([str(suite.TARGET / "atelier-coordinator"), "serve", "--help"], stdout=subprocess.PIPE, check=True, text=True)
        folder = re.search(r"ATELIER_KUBERNETES_ACCOUNT=\]\s+\[default:\s+(\S+)\]", done.stdout)[1]
        template = matching(render("full")[0], {"app.kubernetes.io/component": "coordinator"})[0]
        mount = next(m for m in containers(template)[0]["volumeMounts"] if m["name"] == "kubernetes")
        self.assertEqual(mount, {"name": "kubernetes", "mountPath": folder, "readOnly": True})
        volume = next(v for v in template["spec"]["volumes"] if v["name"] == "kubernetes")
        token, authority, namespace = volume["projected"]["sources"]
        self.assertEqual(token["serviceAccountToken"]["path"], "token")
        # Every namespace has this ConfigMap.
        self.assertEqual(authority["configMap"], {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]})
        self.assertEqual(namespace["downwardAPI"]["items"], [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}])

    def test_webhooks_leave_where_the_store_is_named(self):
        objects, _ = render("full")
        egress = {p["metadata"]["labels"]["app.kubernetes.io/component"]: p["spec"]["egress"]
                  for p in of_kind(objects, "NetworkPolicy")}
        anywhere = {"ports": [{"port": 443, "protocol": "TCP"}]}
        self.assertIn(anywhere, egress["coordinator"])
        for closed in ("worker", "migrate"):
            self.assertNotIn(anywhere, egress[closed])


def has_token(template) -> bool:
    """Whether pods get a token of Kubernetes, by themselves or by name."""
    sources = [s for v in template["spec"].get("volumes", []) for s in v.get("projected", {}).get("sources", [])]
    by_itself = template["spec"].get("automountServiceAccountToken") is not False
    return by_itself or any("serviceAccountToken" in source for source in sources)


def uses_image_volume(item) -> bool:
    return item["kind"] == "Deployment" and any("image" in v for v in item["spec"]["template"]["spec"]["volumes"])


if __name__ == "__main__":
    suite.run(__name__)
