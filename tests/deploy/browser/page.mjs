// The farm's page in a real browser. Called by tests/deploy/browser.py with what it needs in the environment; prints one JSON line a scenario.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";

const { MODULES, CHROMIUM, URL: base, KEY, OTHER_KEY, SHOTS } = process.env;
const require = createRequire(join(MODULES, "x.js"));
const { chromium } = require("playwright-core");
const AXE = require.resolve("axe-core/axe.min.js");
const PATIENCE = 60_000;
const FLAGS = [
  "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

function assert(holds, what) {
  if (!holds) throw new Error(what);
}

/** What a page must not have done by the end of a scenario. */
function watch(page, wrong) {
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) wrong.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => wrong.push(`script: ${error}`));
  page.on("request", (request) => {
    const { origin, protocol } = new URL(request.url());
    if (protocol.startsWith("http") && origin !== base) wrong.push(`another host: ${request.url()}`);
  });
  page.on("response", (answer) => {
    if (answer.status() >= 500) wrong.push(`${answer.status()}: ${answer.url()}`);
  });
}

/** Nothing that keeps people from using it: every rule of WCAG 2.2 AA that a program can check. */
async function accessible(page, name) {
  // Past the page's policy, which allows no scripts of others.
  await page.evaluate(await readFile(AXE, "utf8"));
  const found = await page.evaluate(async () => {
    const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
    const { violations } = await window.axe.run(document, { runOnly: tags });
    return violations.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.map((node) => `${node.target} ${node.failureSummary}`).join("; ")}`);
  });
  assert(found.length === 0, `${name}: ${found.join("\n")}`);
}

async function shot(page, name) {
  await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true });
}

async function logIn(page, key) {
  await page.goto(`${base}/login`);
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("heading", { name: "What shall be drawn?" }).waitFor();
}

async function ask(page, prompt) {
  await page.goto(base);
  await page.getByLabel("Prompt").fill(prompt);
  await page.getByRole("button", { name: "Draw", exact: true }).click();
  await page.waitForURL(/\/requests\/[0-9a-f-]{36}$/);
  return new URL(page.url()).pathname.split("/").pop();
}

const state = (page) => page.locator("#live .state").textContent();

const scenarios = {
  async "a wrong key is refused and a good one opens the page"(page) {
    await page.goto(base);
    assert(new URL(page.url()).pathname === "/login", "a stranger is sent to the login");
    await accessible(page, "login");
    await shot(page, "login");
    await page.getByLabel("API key").fill("atl_wrong");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").waitFor();
    // The answer was 401, which the browser notes.
    page.wrong.splice(0);
    await accessible(page, "login refused");
    await page.getByLabel("API key").fill(KEY);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Gallery" }).waitFor();
    const cookies = await page.context().cookies();
    assert(cookies.length === 1 && cookies[0].httpOnly && cookies[0].sameSite === "Strict", "one cookie, for nobody else");
    assert(!cookies[0].value.includes(KEY.slice(4)), "the cookie is not the key");
    assert((await page.evaluate(() => document.cookie)) === "", "scripts see no cookie");
    await accessible(page, "empty gallery");
    await shot(page, "gallery-empty");
  },

  async "a request is watched from the form to the picture"(page) {
    await logIn(page, KEY);
    await page.getByText("Seed, size, rounds").click();
    await page.getByLabel("Seed").fill("7");
    await page.getByLabel("Size in pixels").fill("256x192");
    await shot(page, "form");
    await accessible(page, "form");
    await page.getByLabel("Prompt").fill("an orange cat and a red balloon on the moon [slow:700]");
    await page.getByLabel("Prompt").press("Enter");
    await page.waitForURL(/\/requests\//);
    await page.getByText("It is being written.").waitFor();
    // Nothing is loaded again by hand from here on.
    await page.evaluate(() => { window.here = true; });
    await page.locator(".boxes.wanted rect").first().waitFor({ state: "attached" });
    await page.locator(".open .mark").first().waitFor();
    await page.locator("#preview:not([hidden])").waitFor();
    await page.waitForFunction(() => document.getElementById("progress")?.value > 1);
    await shot(page, "request-drawing");
    await accessible(page, "request while it is drawn");
    await page.locator("#live .state.succeeded").waitFor();
    await page.locator(".checks .pass").first().waitFor();
    assert(await page.evaluate(() => window.here), "the page was not loaded again");
    assert((await page.locator("#said").textContent()).startsWith("Done"), "the end is said to those who do not see it");
    await page.waitForFunction(() => document.querySelector("#live img.picture")?.naturalWidth === 256);
    await page.getByLabel("Found boxes").check();
    assert(await page.locator(".boxes.found").isVisible(), "found boxes are drawn");
    await accessible(page, "request");
    await shot(page, "request-done");
    const trace = await page.evaluate(async () => (await fetch(document.getElementById("trace").href)).status);
    assert(trace === 200, "there is a trace");
    await page.getByRole("link", { name: "Trace" }).click();
    await page.waitForURL(/trace/);
    assert((await page.textContent("body")).includes("an orange cat"), "the trace tells of it");
  },

  async "what others submit comes in by itself"(page) {
    await logIn(page, KEY);
    await page.evaluate(() => { window.here = true; });
    const answer = await fetch(`${base}/v1/requests`, {
      method: "POST",
      headers: { authorization: `Bearer ${KEY}`, "content-type": "application/json" },
      body: JSON.stringify({ prompt: "a lighthouse by night [slow:400]", seed: 3 }),
    });
    const { id } = await answer.json();
    const card = page.locator(`#card-${id}`);
    await card.waitFor();
    await card.locator(".preview").waitFor();
    await shot(page, "gallery-live");
    await card.locator(".state.succeeded").waitFor();
    await page.waitForFunction((id) => document.querySelector(`#card-${id} img`)?.naturalWidth > 0, id);
    assert(await page.evaluate(() => window.here), "the page was not loaded again");
    // By keyboard alone to the newest picture.
    await card.getByRole("link").focus();
    await page.keyboard.press("Enter");
    await page.waitForURL(`${base}/requests/${id}`);
  },

  async "one is stopped, and asked for again"(page) {
    await logIn(page, KEY);
    const id = await ask(page, "a very slow snail [slow:3000]");
    await page.getByText("Drawing").first().waitFor();
    await page.getByRole("button", { name: "Stop" }).click();
    await page.locator("#live .state.canceled").waitFor();
    await shot(page, "request-stopped");
    await accessible(page, "stopped");
    await page.getByRole("button", { name: "Ask again" }).click();
    await page.waitForURL((address) => /\/requests\//.test(address) && !address.pathname.endsWith(id));
    await page.getByRole("button", { name: "Stop" }).click();
    await page.locator("#live .state.canceled").waitFor();
  },

  async "what fails says why"(page) {
    await logIn(page, KEY);
    await ask(page, "a broken robot [impossible:render]");
    await page.locator("#live .state.failed").waitFor();
    await page.locator("#live > .complaint").waitFor();
    await accessible(page, "failed");
    await shot(page, "request-failed");
  },

  async "scripts in a prompt are words"(page) {
    await logIn(page, KEY);
    await ask(page, "<img src=x onerror='document.title=1'><script>document.title=2</script> [slow:50]");
    await page.locator("#live .state.succeeded").waitFor();
    const title = await page.title();
    assert(title.startsWith("<img src=x") && title.endsWith("Atelier"), title);
    await page.goto(base);
    await page.locator(".prompt", { hasText: "<script>" }).first().waitFor();
  },

  async "another tenant sees nothing"(page) {
    await logIn(page, KEY);
    const id = await ask(page, "a secret cat");
    await page.getByRole("button", { name: "Log out" }).click();
    await page.waitForURL(/login/);
    await page.goto(`${base}/requests/${id}`);
    assert(new URL(page.url()).pathname === "/login", "who is logged out sees nothing");
    await page.getByLabel("API key").fill(OTHER_KEY);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Not here" }).waitFor();
    // The answer was 404, which the browser notes.
    page.wrong.splice(0);
    await accessible(page, "not found");
    await page.goto(base);
    await page.getByText("Nothing has been drawn yet.").waitFor();
    const status = await page.evaluate(async (id) => (await fetch(`/v1/requests/${id}`)).status, id);
    assert(status === 404, `another tenant's request answers ${status}`);
    page.wrong.splice(0);
  },

  async "narrow, dark and without scripts it works, too"(page, browser) {
    for (const [name, options] of [
      ["narrow", { viewport: { width: 360, height: 740 } }],
      ["dark", { colorScheme: "dark" }],
      ["scriptless", { javaScriptEnabled: false }],
    ]) {
      const context = await browser.newContext(options);
      const other = await context.newPage();
      watch(other, page.wrong);
      await logIn(other, KEY);
      await ask(other, `a ${name} house`);
      if (name === "scriptless") {
        for (let tries = 0; (await state(other)) !== "done"; tries += 1) {
          assert(tries < 100, "it ends");
          await other.waitForTimeout(200);
          await other.reload();
        }
      } else await other.locator("#live .state.succeeded").waitFor();
      await shot(other, `request-${name}`);
      if (name !== "scriptless") {
        await accessible(other, name);
        const wide = await other.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert(wide <= 0, `${name}: ${wide} pixels stick out`);
      }
      await other.goto(base);
      await shot(other, `gallery-${name}`);
      if (name !== "scriptless") {
        await accessible(other, `gallery ${name}`);
        const wide = await other.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert(wide <= 0, `gallery ${name}: ${wide} pixels stick out`);
      }
      await context.close();
    }
  },
};

const root = process.getuid() === 0 ? ["--no-sandbox"] : [];
const browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: [...FLAGS, ...root] });
const words = process.argv.slice(2);
for (const [name, scenario] of Object.entries(scenarios)) {
  if (words.length && !words.some((word) => name.includes(word))) continue;
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 } });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  page.wrong = [];
  watch(page, page.wrong);
  let error = null;
  try {
    await scenario(page, browser);
    if (page.wrong.length) error = page.wrong.join("\n");
  } catch (thrown) {
    error = `${thrown.stack ?? thrown}\n${page.wrong.join("\n")}`;
    await shot(page, `failed-${name.replaceAll(/\W+/g, "-")}`).catch(() => null);
  }
  console.log(JSON.stringify({ name, error }));
  await context.close();
}
await browser.close();
