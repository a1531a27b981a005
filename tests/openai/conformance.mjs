// OpenAI's own library for Node against a farm: the same promises as conformance.py, in the language of the web.
// Run by tests/deploy/openai.py, which says in the environment where farm and library are.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';

const { default: OpenAI, toFile } = await import(pathToFileURL(`${process.env.OPENAI_NODE}/index.mjs`).href);
const { ATELIER_URL: url, ATELIER_API_KEY: key, ATELIER_SMALL_KEY: smallKey } = process.env;
const model = 'atelier-mini';

const client = (options = {}) => new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0, timeout: 60_000, ...options });
const decoded = (b64) => Buffer.from(b64, 'base64');
const isPng = (bytes) => bytes.subarray(1, 4).toString() === 'PNG';
const native = async (path, apiKey = key) =>
  (await fetch(url + path, { headers: { authorization: `Bearer ${apiKey}` } })).json();
const until = async (what, holds) => {
  for (let end = Date.now() + 40_000; Date.now() < end; await new Promise((go) => setTimeout(go, 50))) {
    const answer = await holds();
    if (answer) return answer;
  }
  throw new Error(`${what}: not in time`);
};
const newest = async (prompt) => (await native('/v1/requests?limit=50')).requests.find((r) => r.prompt === prompt)?.id;

const tests = {
  async 'a picture with all that the library reads'() {
    const { data: answer, request_id: id } = await client()
      .images.generate({ prompt: 'a cat', model, size: '128x64', seed: 7 }).withResponse();
    assert(isPng(decoded(answer.data[0].b64_json)));
    assert.equal(answer.size, '128x64');
    assert.equal(answer.usage.output_tokens, 32);
    assert.equal(answer.data[0].seed, 7);
    assert.ok(answer.data[0].revised_prompt);
    assert.equal((await native(`/v1/requests/${id}`)).state, 'succeeded');
  },

  async 'several pictures, and links to them'() {
    const answer = await client().images.generate({ prompt: 'cats', n: 3, response_format: 'url', output_format: 'webp' });
    assert.equal(new Set(answer.data.map((picture) => picture.url)).size, 3);
    const file = Buffer.from(await (await fetch(answer.data[0].url)).arrayBuffer());
    assert.equal(file.subarray(0, 4).toString(), 'RIFF');
  },

  async 'a stream with partial pictures'() {
    const stream = await client().images.generate({
      prompt: 'a slow cat [slow:150]', stream: true, partial_images: 2, steps: 12,
    });
    const events = [];
    for await (const event of stream) events.push(event);
    assert.equal(events.at(-1).type, 'image_generation.completed');
    assert(isPng(decoded(events.at(-1).b64_json)));
    assert([2, 3].includes(events.length), `${events.length} events`);
    events.slice(0, -1).forEach((event, index) => {
      assert.deepEqual([event.type, event.partial_image_index], ['image_generation.partial_image', index]);
      assert(isPng(decoded(event.b64_json)));
    });
  },

  async 'a reader that breaks off cancels'() {
    const prompt = `a cat that nobody waits for ${process.hrtime.bigint()} [slow:1000]`;
    const stream = await client().images.generate({ prompt, stream: true, partial_images: 3, steps: 40 });
    const id = await until('it is there', () => newest(prompt));
    stream.controller.abort();
    await until('it is canceled', async () => (await native(`/v1/requests/${id}`)).state === 'canceled');
  },

  async 'errors have their classes and name the field'() {
    const refused = async (call, kind, status, fields) => {
      const error = await call.then(() => assert.fail('it was taken'), (error) => error);
      assert(error instanceof kind, `${error}`);
      assert.equal(error.status, status);
      for (const [name, value] of Object.entries(fields)) assert.equal(error[name], value);
    };
    const images = client().images;
    await refused(images.generate({ prompt: 'x', n: 11 }), OpenAI.BadRequestError, 400, { param: 'n' });
    await refused(images.generate({ prompt: 'x', background: 'transparent' }), OpenAI.BadRequestError, 400, { param: 'background' });
    await refused(images.generate({ prompt: 'x', model: 'gpt-image-1' }), OpenAI.NotFoundError, 404, { code: 'model_not_found' });
    await refused(client({ apiKey: 'no' }).images.generate({ prompt: 'x' }), OpenAI.AuthenticationError, 401, { code: 'invalid_api_key' });
    await refused(images.generate({ prompt: 'x'.repeat(2 << 20) }), OpenAI.APIError, 413, { code: 'too_large' });
    await refused(images.generate({ prompt: 'x [impossible:render]', quality: 'low' }), OpenAI.InternalServerError, 500, { code: 'generation_failed' });
  },

  async 'a full queue is waited for'() {
    const slow = client({ apiKey: smallKey }).images.generate({ prompt: 'a slow cat [slow:300]', quality: 'low', steps: 8 });
    await until('it is active', async () => (await native('/v1/requests?state=active', smallKey)).requests.length);
    const error = await client({ apiKey: smallKey }).images.generate({ prompt: 'x' }).catch((error) => error);
    assert(error instanceof OpenAI.RateLimitError, `${error}`);
    assert(Number(error.headers.get('retry-after')) >= 1);
    await client({ apiKey: smallKey, maxRetries: 20 }).images.generate({ prompt: 'a cat', quality: 'low' });
    await slow;
  },

  async 'a caller that gives up cancels'() {
    const prompt = `a cat that takes too long ${process.hrtime.bigint()} [slow:1000]`;
    const error = await client({ timeout: 1_500 })
      .images.generate({ prompt, quality: 'low', steps: 40 }).catch((error) => error);
    assert(error instanceof OpenAI.APIConnectionTimeoutError, `${error}`);
    const id = await newest(prompt);
    await until('it is canceled', async () => (await native(`/v1/requests/${id}`)).state === 'canceled');
  },

  async 'models'() {
    const names = [];
    for await (const one of client().models.list()) names.push(one.id);
    assert.deepEqual(names, [model]);
    assert.equal((await client().models.retrieve(model)).id, model);
  },

  async 'an edit within a mask'() {
    const picture = decoded((await client().images.generate({ prompt: 'a cat', quality: 'low', size: '64x64' })).data[0].b64_json);
    const image = await toFile(picture, 'cat.png', { type: 'image/png' });
    const mask = await toFile(decoded(process.env.MASK_64), 'mask.png', { type: 'image/png' });
    const answer = await client().images.edit({ image, mask, prompt: 'a hat', size: '64x64' });
    assert(isPng(decoded(answer.data[0].b64_json)));
    assert.equal(answer.size, '64x64');
    const both = await client().images.edit({ image: [image, image], prompt: 'two of them' });
    assert(isPng(decoded(both.data[0].b64_json)));
  },

  async 'a webhook that the library can verify'() {
    const { secret } = await native('/v1/webhooks/secret');
    const got = [];
    const server = createServer((request, response) => {
      const parts = [];
      request.on('data', (part) => parts.push(part));
      request.on('end', () => {
        got.push([Buffer.concat(parts).toString(), request.headers]);
        response.writeHead(204).end();
      });
    });
    await new Promise((go) => server.listen(0, '127.0.0.1', go));
    const submitted = await fetch(`${url}/v1/requests`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ prompt: 'a cat', webhook: { url: `http://127.0.0.1:${server.address().port}/hook` } }),
    });
    assert.equal(submitted.status, 201);
    const { id } = await submitted.json();
    const [body, headers] = await until('it is told', () => got.find(([body]) => body.includes(id)));
    const event = await client().webhooks.unwrap(body, headers, secret);
    assert.deepEqual([event.type, event.data.id], ['request.succeeded', id]);
    await assert.rejects(client().webhooks.unwrap(body.replace('succeeded', 'failed'), headers, secret), OpenAI.InvalidWebhookSignatureError);
    server.close();
  },
};

const wanted = process.argv.slice(2).filter((word) => !word.startsWith('-'));
let passed = 0;
let failed = 0;
for (const [name, test] of Object.entries(tests)) {
  if (wanted.length && !wanted.some((word) => name.includes(word))) continue;
  try {
    await test();
    passed += 1;
    console.error(`node: ${name} ... ok`);
  } catch (error) {
    failed += 1;
    console.error(`node: ${name} ... FAILED\n${error.stack}`);
  }
}
console.log(`test result: ${failed ? 'FAILED' : 'ok'}. ${passed} passed; ${failed} failed; 0 ignored`);
process.exit(failed ? 1 : 0);
