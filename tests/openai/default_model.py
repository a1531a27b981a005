"""OpenAI's Python library and the default model: a picture as the first example of the README asks for it, and a hat for the cat in it.

Run by tests/deploy/openai.py.
"""

import base64
import os
import sys
import unittest
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "deploy"))

import openai
from pictures import pixels, png_size
from support import suite


class DefaultModel(unittest.TestCase):
    def test_a_picture_and_a_part_of_it_anew(self):
        client = openai.OpenAI(
            base_url=f"{os.environ['ATELIER_URL']}/v1", api_key=os.environ["ATELIER_API_KEY"], max_retries=0, timeout=300)
        answer = client.images.generate(
            prompt="a cat and a red balloon on the moon", size="256x256", quality="medium", extra_body={"seed": 13})
        picture = base64.b64decode(answer.data[0].b64_json)
        self.assertEqual(png_size(picture), (256, 256))
        colors = {pixel for row in pixels(picture) for pixel in row}
        self.assertGreater(len(colors), 500, "a picture, not a plain field")
        self.assertIn("cat", answer.data[0].revised_prompt)

        mask = base64.b64decode(os.environ["MASK"])
        edited = client.images.edit(
            image=("cat.png", picture), mask=("mask.png", mask), prompt="a green apple", size="256x256", extra_body={"seed": 3})
        before, after = pixels(picture), pixels(base64.b64decode(edited.data[0].b64_json))
        changed = {(x, y) for y in range(256) for x in range(256) if before[y][x] != after[y][x]}
        self.assertGreater(len(changed), 4_000)
        self.assertTrue(all(x < 128 for x, _ in changed), "what is not transparent stays to the bit")
        if os.environ.get("ATELIER_SAVE_TO"):
            folder = Path(os.environ["ATELIER_SAVE_TO"])
            (folder / "picture.png").write_bytes(picture)
            (folder / "edited.png").write_bytes(base64.b64decode(edited.data[0].b64_json))


if __name__ == "__main__":
    suite.run(__name__)
