"""OpenAI's own Python library against a farm: what it sends is honoured, what it reads is there, and its errors are the ones that it knows.

Run by tests/deploy/openai.py, which starts the farm and says in the environment where it is. The engine is the test double: the words in
square brackets of a prompt tell it what to do.
"""

import base64
import http.server
import json
import os
import queue
import sys
import threading
import time
import typing
import unittest
import urllib.error
import urllib.request
from pathlib import Path

# After the folder of the library: tests/deploy has a script of the same name.
sys.path.append(str(Path(__file__).resolve().parents[1] / "deploy"))

import openai
from openai.types import image_edit_params, image_generate_params
from pictures import pixels, png_size
from support import suite
from support.farm import Api
from support.process import wait_until

URL = os.environ["ATELIER_URL"]
KEY = os.environ["ATELIER_API_KEY"]
# A key of a tenant that may have one active request.
SMALL_KEY = os.environ["ATELIER_SMALL_KEY"]
LONGEST_WAIT_S = float(os.environ["ATELIER_LONGEST_WAIT_S"])
MODEL = "atelier-mini"
NATIVE = Api(URL, KEY)


def client(key: str = KEY, **options) -> openai.OpenAI:
    options.setdefault("max_retries", 0)
    options.setdefault("timeout", 60)
    return openai.OpenAI(base_url=f"{URL}/v1", api_key=key, **options)


def fetch(url: str) -> bytes:
    """Without any key."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read()


def state_of(request: str) -> str:
    return NATIVE.state(request)


def newest(prompt: str):
    """The newest request of that prompt."""
    found = [r for r in NATIVE.call("GET", "/v1/requests?limit=50")["requests"] if r["prompt"] == prompt]
    return found[0]["id"] if found else None


class Generate(unittest.TestCase):
    def test_a_picture_with_all_that_the_library_reads(self):
        raw = client().images.with_raw_response.generate(
            prompt="a cat and a dog", model=MODEL, size="128x64", safety_identifier="me", extra_body={"seed": 7},
        )
        answer = raw.parse()
        [picture] = answer.data
        self.assertEqual(png_size(base64.b64decode(picture.b64_json)), (128, 64))
        self.assertIsNone(picture.url)
        self.assertEqual((answer.size, answer.output_format, answer.quality), ("128x64", "png", "high"))
        self.assertEqual((answer.background, answer.safety_identifier), ("opaque", "me"))
        self.assertTrue(picture.revised_prompt)
        self.assertEqual(answer.usage.output_tokens, 8 * 4)
        self.assertEqual(answer.usage.input_tokens, 5)
        self.assertEqual(answer.usage.total_tokens, answer.usage.input_tokens + answer.usage.output_tokens)
        self.assertLess(abs(answer.created - time.time()), 120)
        self.assertEqual(picture.model_extra["seed"], 7)
        view = NATIVE.call("GET", f"/v1/requests/{raw.headers['x-request-id']}")
        self.assertEqual((view["state"], view["seed"]), ("succeeded", 7))

    def test_several_pictures_are_several_requests(self):
        raw = client().images.with_raw_response.generate(prompt="three cats", n=3, extra_body={"seed": 40})
        data = raw.parse().data
        self.assertEqual([picture.model_extra["seed"] for picture in data], [40, 41, 42])
        self.assertEqual(len({picture.b64_json for picture in data}), 3)
        ids = raw.headers["x-atelier-request-ids"].split(", ")
        self.assertEqual([picture.model_extra["request"] for picture in data], ids)
        self.assertEqual({state_of(request) for request in ids}, {"succeeded"})

    def test_formats(self):
        sizes = {}
        for fmt, options, start in [
            ("jpeg", {"output_compression": 5}, b"\xff\xd8\xff"), ("jpeg", {}, b"\xff\xd8\xff"),
            ("webp", {}, b"RIFF"), ("png", {"output_compression": 100}, b"\x89PNG"),
        ]:
            answer = client().images.generate(
                prompt="a cat", quality="low", output_format=fmt, extra_body={"seed": 7}, **options)
            data = base64.b64decode(answer.data[0].b64_json)
            self.assertTrue(data.startswith(start), fmt)
            self.assertEqual(answer.output_format, fmt)
            sizes[fmt, bool(options)] = len(data)
        self.assertLess(sizes["jpeg", True], sizes["jpeg", False])

    def test_a_link_serves_the_same_file_to_everybody_and_no_other(self):
        for fmt in ("png", "jpeg", "webp"):
            wish = {"prompt": "a cat", "quality": "low", "output_format": fmt, "extra_body": {"seed": 7}}
            direct = client().images.generate(**wish)
            linked = client().images.generate(response_format="url", **wish)
            self.assertIsNone(linked.data[0].b64_json)
            url = linked.data[0].url
            served, expected = fetch(url), base64.b64decode(direct.data[0].b64_json)
            if fmt == "png":
                # The file itself says from which request it is.
                self.assertEqual(png_size(served), png_size(expected))
            else:
                self.assertEqual(served, expected)
            last = "A" if url[-10] != "A" else "B"
            with self.assertRaises(urllib.error.HTTPError) as refused:
                fetch(url[:-10] + last + url[-9:])
            self.assertEqual(refused.exception.code, 403)

    def test_quality_says_how_much_is_done(self):
        for quality, kinds in [
            ("low", {"render"}), ("medium", {"plan", "render", "critique"}), ("auto", {"plan", "render", "critique"}),
        ]:
            raw = client().images.with_raw_response.generate(prompt="a cat", quality=quality)
            view = NATIVE.call("GET", f"/v1/requests/{raw.headers['x-request-id']}")
            self.assertEqual({job["kind"] for job in view["jobs"]}, kinds, quality)
        for quality, rounds in [("medium", 1), ("high", 2), ("max", 4)]:
            raw = client().images.with_raw_response.generate(prompt="a cat [hopeless]", quality=quality)
            view = NATIVE.call("GET", f"/v1/requests/{raw.headers['x-request-id']}")
            self.assertEqual(view["round"], rounds, quality)
            self.assertEqual(raw.parse().quality, quality)

    def test_the_farms_own_options_ride_in_the_body(self):
        raw = client().images.with_raw_response.generate(
            prompt="a cat", extra_body={"seed": 3, "think": "off", "steps": 2, "priority": "batch", "sparkle": [1]},
            style="vivid", moderation="low",
        )
        self.assertEqual(raw.parse().quality, "low")
        ignored = set(raw.headers["x-atelier-ignored-fields"].split(", "))
        self.assertEqual(ignored, {"sparkle", "style", "moderation"})

    def test_a_full_thought_may_be_bounded(self):
        raw = client().images.with_raw_response.generate(prompt="a cat", extra_body={"think": "full", "think_tokens": 9})
        trace = NATIVE.call("GET", f"/v1/requests/{raw.headers['x-request-id']}/trace")
        self.assertEqual((trace["submitted"]["think"], trace["submitted"]["think_tokens"]), ("full", 9))

    def test_the_same_idempotency_key_gives_the_same_pictures(self):
        wish = {"prompt": "a cat", "n": 2, "extra_headers": {"Idempotency-Key": f"k-{time.time_ns()}"}}
        one, two = (client().images.with_raw_response.generate(**wish) for _ in range(2))
        self.assertEqual(one.headers["x-atelier-request-ids"], two.headers["x-atelier-request-ids"])
        self.assertEqual([p.b64_json for p in one.parse().data], [p.b64_json for p in two.parse().data])
        begun = time.monotonic()
        with self.assertRaises(openai.ConflictError) as refused:
            client(max_retries=5).images.generate(**{**wish, "prompt": "a dog"})
        self.assertEqual(refused.exception.code, "idempotency_conflict")
        # The library comes again after 409, unless it is told that it would be of no use.
        self.assertLess(time.monotonic() - begun, 2)


class Stream(unittest.TestCase):
    def test_partial_pictures_and_the_picture(self):
        stream = client().images.generate(
            prompt="a slow cat [slow:150]", stream=True, partial_images=2, size="64x64", output_format="jpeg",
            extra_body={"steps": 12},
        )
        events = list(stream)
        partial, last = events[:-1], events[-1]
        self.assertIn(len(partial), (1, 2))
        for index, event in enumerate(partial):
            self.assertEqual((event.type, event.partial_image_index), ("image_generation.partial_image", index))
            self.assertTrue(base64.b64decode(event.b64_json).startswith(b"\xff\xd8\xff"))
            self.assertEqual((event.size, event.background, event.output_format), ("64x64", "opaque", "jpeg"))
        self.assertEqual(last.type, "image_generation.completed")
        self.assertTrue(base64.b64decode(last.b64_json).startswith(b"\xff\xd8\xff"))
        self.assertEqual((last.size, last.usage.output_tokens), ("64x64", 16))

    def test_no_partial_pictures_unless_wanted(self):
        events = list(client().images.generate(prompt="a cat [slow:100]", stream=True))
        self.assertEqual([event.type for event in events], ["image_generation.completed"])

    def test_a_failure_is_an_error_of_the_stream(self):
        with self.assertRaises(openai.APIError) as failed:
            list(client().images.generate(prompt="a cat [impossible:render]", stream=True, quality="low"))
        self.assertEqual(failed.exception.code, "generation_failed")

    def test_a_reader_that_goes_away_cancels(self):
        prompt = f"a cat that nobody waits for {time.time_ns()} [slow:1000]"
        stream = client().images.generate(
            prompt=prompt, stream=True, partial_images=3, extra_body={"steps": 40})
        request = wait_until("it is there", lambda: newest(prompt))
        stream.close()
        wait_until("it is canceled", lambda: state_of(request) == "canceled", patience_s=40)


class Errors(unittest.TestCase):
    def test_what_is_not_made_here_is_refused_by_name(self):
        for options, param in [
            ({"prompt": ""}, "prompt"), ({"prompt": "x" * 4001}, "prompt"), ({"n": 0}, "n"), ({"n": 11}, "n"),
            ({"size": "65x64"}, "size"), ({"size": "4096x64"}, "size"), ({"size": "big"}, "size"),
            ({"quality": "best"}, "quality"), ({"background": "transparent"}, "background"),
            ({"output_format": "gif"}, "output_format"), ({"output_format": "svg"}, "output_format"),
            ({"output_compression": 50}, "output_compression"), ({"partial_images": 2}, "partial_images"),
            ({"response_format": "file"}, "response_format"), ({"moderation": "high"}, "moderation"),
            ({"style": "odd"}, "style"), ({"frame_count": 4}, "frame_count"), ({"svg": {"model": "x"}}, "svg"),
            ({"frame_duration_ms": 4}, "frame_duration_ms"), ({"complexity": "much"}, "complexity"),
            ({"extra_body": {"seed": -1}}, "seed"), ({"extra_body": {"steps": 0}}, "steps"),
            ({"extra_body": {"max_rounds": 5}}, "max_rounds"), ({"extra_body": {"think": "a lot"}}, "think"),
            ({"extra_body": {"think_tokens": 9}}, "think_tokens"),
            ({"extra_body": {"think": "full", "think_tokens": 4097}}, "think_tokens"),
            ({"extra_body": {"priority": "now"}}, "priority"), ({"user": 7}, "user"), ({"stream": True, "n": 2}, "n"),
        ]:
            with self.subTest(options):
                with self.assertRaises(openai.BadRequestError) as refused:
                    client().images.generate(**{"prompt": "a cat", **options})
                error = refused.exception
                self.assertEqual((error.param, error.type), (param, "invalid_request_error"))
                self.assertEqual(error.code, "invalid_value")

    def test_keys_models_and_lengths(self):
        for key in ("rubbish", "atl_" + "0" * 43):
            with self.assertRaises(openai.AuthenticationError) as refused:
                client(key).images.generate(prompt="a cat")
            self.assertEqual(refused.exception.type, "authentication_error")
            with self.assertRaises(openai.AuthenticationError):
                client(key).models.list()
        with self.assertRaises(openai.NotFoundError) as refused:
            client().images.generate(prompt="a cat", model="gpt-image-1")
        self.assertEqual((refused.exception.code, refused.exception.param), ("model_not_found", "model"))
        with self.assertRaises(openai.APIStatusError) as refused:
            client().images.generate(prompt="x" * (2 << 20))
        self.assertEqual((refused.exception.status_code, refused.exception.code), (413, "too_large"))

    def test_what_cannot_be_drawn_fails_once(self):
        begun = time.monotonic()
        with self.assertRaises(openai.InternalServerError) as failed:
            client(max_retries=5).images.generate(prompt="a cat [impossible:render]", quality="low")
        self.assertEqual((failed.exception.type, failed.exception.code), ("server_error", "generation_failed"))
        self.assertEqual(state_of(failed.exception.request_id), "failed")
        self.assertLess(time.monotonic() - begun, 10)

    def test_a_full_queue_is_a_rate_limit_that_the_library_waits_for(self):
        slow = threading.Thread(target=lambda: client(SMALL_KEY).images.generate(
            prompt="a slow cat [slow:300]", quality="low", extra_body={"steps": 10}))
        slow.start()
        small = Api(URL, SMALL_KEY)
        wait_until("it is active", lambda: small.call("GET", "/v1/requests?state=active")["requests"])
        with self.assertRaises(openai.RateLimitError) as refused:
            client(SMALL_KEY).images.generate(prompt="a cat")
        error = refused.exception
        self.assertEqual((error.type, error.code), ("rate_limit_error", "rate_limit_exceeded"))
        self.assertGreaterEqual(int(error.response.headers["retry-after"]), 1)
        raw = client(SMALL_KEY, max_retries=20).images.with_raw_response.generate(prompt="a cat", quality="low")
        self.assertGreaterEqual(raw.retries_taken, 1)
        slow.join()
        # All or none: two pictures have no room where one has.
        with self.assertRaises(openai.RateLimitError):
            client(SMALL_KEY).images.generate(prompt="two cats [slow:200]", n=2)
        wait_until("none is left", lambda: not small.call("GET", "/v1/requests?state=active")["requests"])

    def test_a_caller_that_gives_up_cancels(self):
        prompt = f"a cat that takes too long {time.time_ns()} [slow:1000]"
        with self.assertRaises(openai.APITimeoutError):
            client(timeout=1.5).images.generate(prompt=prompt, n=2, quality="low", extra_body={"steps": 40})
        found = [r["id"] for r in NATIVE.call("GET", "/v1/requests?limit=20")["requests"] if r["prompt"] == prompt]
        self.assertEqual(len(found), 2)
        for request in found:
            wait_until("it is canceled", lambda: state_of(request) == "canceled")

    def test_the_server_gives_up_too(self):
        prompt = f"a cat that takes for ever {time.time_ns()} [slow:1000]"
        begun = time.monotonic()
        with self.assertRaises(openai.InternalServerError) as failed:
            client(max_retries=3).images.generate(prompt=prompt, quality="low", extra_body={"steps": 100})
        self.assertEqual((failed.exception.status_code, failed.exception.code), (504, "timeout"))
        self.assertLess(time.monotonic() - begun, LONGEST_WAIT_S + 5)
        request = newest(prompt)
        wait_until("it is canceled", lambda: state_of(request) == "canceled")


class Edit(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        answer = client().images.generate(prompt="a cat", quality="low", size="64x64")
        cls.picture = base64.b64decode(answer.data[0].b64_json)
        cls.mask = base64.b64decode(os.environ["MASK_64"])

    def test_a_mask_says_what_is_painted_anew(self):
        raw = client().images.with_raw_response.edit(
            image=("cat.png", self.picture), mask=("mask.png", self.mask), prompt="a hat", n=2, size="64x64",
            extra_body={"seed": 5})
        for picture in raw.parse().data:
            before, after = pixels(self.picture), pixels(base64.b64decode(picture.b64_json))
            changed = {(x, y) for y in range(64) for x in range(64) if before[y][x] != after[y][x]}
            self.assertTrue(changed)
            self.assertTrue(all(x < 32 for x, _ in changed), "what is not transparent stays to the bit")
        trace = NATIVE.call("GET", f"/v1/requests/{raw.headers['x-request-id']}/trace")
        [stage] = trace["plan"]["stages"]
        self.assertEqual((stage["op"], stage["box"]), ("repair", [0, 0, 0.5, 1]))

    def test_without_a_mask_the_first_picture_is_changed_and_the_others_are_things(self):
        raw = client().images.with_raw_response.edit(
            image=[("cat.png", self.picture), ("mug.png", self.picture)], prompt="a cat with my mug", input_fidelity="high",
            quality="high")
        answer = raw.parse()
        self.assertEqual((answer.size, answer.quality), ("64x64", "low"))
        self.assertEqual(answer.usage.input_tokens_details.image_tokens, 2 * 16)
        self.assertEqual(raw.headers["x-atelier-ignored-fields"], "quality")
        plan = NATIVE.call("GET", f"/v1/requests/{raw.headers['x-request-id']}/trace")["plan"]
        self.assertEqual([stage["op"] for stage in plan["stages"]], ["edit"])
        self.assertEqual([element["noun"] for element in plan["elements"]], ["mug"])

    def test_events(self):
        events = list(client().images.edit(
            image=("cat.png", self.picture), prompt="a slow hat [slow:150]", stream=True, partial_images=2,
            extra_body={"steps": 12}))
        kinds = [event.type for event in events]
        self.assertEqual(kinds[-1], "image_edit.completed")
        self.assertIn("image_edit.partial_image", kinds)

    def test_what_cannot_be_edited_is_refused_by_name(self):
        half = self.mask[:100]
        for options, param in [
            ({"image": ("x.png", b"GIF89a, or so it says")}, "image"), ({"image": ("x.png", self.picture[:60])}, "image"),
            ({"mask": ("m.png", self.picture)}, "mask"), ({"mask": ("m.png", half)}, "mask"),
            ({"image": [("x.png", self.picture)] * 9}, "image"), ({"image": ("x.png", b"\0" * (9 << 20))}, "image"),
            ({"markup": ("m.png", self.mask)}, "markup"), ({"input_fidelity": "some"}, "input_fidelity"), ({"n": 11}, "n"),
            ({"size": "63x64"}, "size"), ({"prompt": " "}, "prompt"), ({"background": "transparent"}, "background"),
            ({"extra_body": {"svg": {"model": "x"}}}, "svg"), ({"extra_body": {"seed": "no"}}, "seed"),
        ]:
            with self.subTest(list(options)):
                wish = {"image": ("cat.png", self.picture), "prompt": "a hat", **options}
                with self.assertRaises(openai.BadRequestError) as refused:
                    client().images.edit(**wish)
                self.assertEqual(refused.exception.param, param)
        with self.assertRaises(openai.APIStatusError) as refused:
            client().images.edit(image=[("x.png", b"\x89PNG" + b"\0" * (8 << 20) * 1)] * 12, prompt="a hat")
        self.assertIn(refused.exception.status_code, (400, 413))
        with self.assertRaises(openai.NotFoundError):
            client().images.edit(image=("cat.png", self.picture), prompt="a hat", model="gpt-image-1")

    def test_the_same_key_finds_the_same_edit(self):
        wish = {"image": ("cat.png", self.picture), "prompt": "a hat", "extra_headers": {"Idempotency-Key": f"e-{time.time_ns()}"}}
        one, two = (client().images.with_raw_response.edit(**wish) for _ in range(2))
        self.assertEqual(one.headers["x-request-id"], two.headers["x-request-id"])
        with self.assertRaises(openai.ConflictError):
            client().images.edit(**{**wish, "image": ("cat.png", base64.b64decode(os.environ["MASK_64"]))})


class Webhooks(unittest.TestCase):
    def test_the_library_verifies_and_reads_them(self):
        got = queue.Queue()

        class Receiver(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                got.put((self.rfile.read(int(self.headers["content-length"])), dict(self.headers)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.shutdown)
        url = f"http://127.0.0.1:{server.server_port}/hook"
        own = "whsec_" + base64.b64encode(os.urandom(32)).decode()
        tenants = NATIVE.call("GET", "/v1/webhooks/secret")["secret"]
        for secret, webhook in [(tenants, {"url": url}), (own, {"url": url, "secret": own})]:
            request = NATIVE.submit("a cat", webhook=webhook)
            body, headers = got.get(timeout=30)
            event = client().webhooks.unwrap(body, headers, secret=secret)
            self.assertEqual((event.type, event.data.id), ("request.succeeded", request))
            for body, headers, secret in [
                (body + b" ", headers, secret), (body, {**headers, "webhook-id": "other"}, secret), (body, headers, "whsec_AAAA"),
            ]:
                with self.assertRaises(openai.InvalidWebhookSignatureError):
                    client().webhooks.unwrap(body, headers, secret=secret)
        request = NATIVE.submit("a cat [impossible:render]", think="off", webhook={"url": url})
        event = json.loads(got.get(timeout=30)[0])
        self.assertEqual((event["type"], event["data"]["id"]), ("request.failed", request))


class Models(unittest.TestCase):
    def test_the_farm_has_one(self):
        [model] = client().models.list().data
        self.assertEqual((model.id, model.object), (MODEL, "model"))
        self.assertEqual(client().models.retrieve(MODEL).id, MODEL)
        with self.assertRaises(openai.NotFoundError) as refused:
            client().models.retrieve("gpt-image-1")
        self.assertEqual(refused.exception.code, "model_not_found")


class Document(unittest.TestCase):
    """Every field that the library can send stands in the document that the farm serves."""

    def setUp(self):
        schemas = json.loads(fetch(f"{URL}/openapi.json"))["components"]["schemas"]
        self.fields = lambda name: set(schemas[name]["properties"])

    @staticmethod
    def known_to_the_library(module, name: str) -> set:
        base = getattr(module, f"{name}Base")
        return {"stream", *typing.get_type_hints(base, include_extras=True)}

    def test_generations(self):
        theirs = self.known_to_the_library(image_generate_params, "ImageGenerateParams")
        self.assertGreater(len(theirs), 15)
        self.assertEqual(theirs - self.fields("ImageRequest"), set())
        own = self.fields("ImageRequest") - theirs
        self.assertEqual(own, {"seed", "think", "think_tokens", "max_rounds", "priority", "steps"})

    def test_edits(self):
        theirs = self.known_to_the_library(image_edit_params, "ImageEditParams")
        self.assertGreater(len(theirs), 15)
        self.assertEqual(theirs - self.fields("EditForm"), set())


if __name__ == "__main__":
    suite.run(__name__)
