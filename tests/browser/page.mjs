// The page in a real Chromium: makes the first account, and then, dark and light, narrow and wide, follows a divergence to its
// columns, acknowledges its alert, plans its repair, reads the SQL and has it carried out.
//
//   node page.mjs MODULES CHROMIUM SHOTS SETUP_URL TABLE...
//
// Each look takes a table of its own that differs in the column `customer`. On every page that is passed: no error on the console,
// nothing serious for axe, nothing to scroll sideways. Screenshots are left in SHOTS. Ends with 1 and says why, or with 0.

import { createRequire } from "node:module";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const [modules, executablePath, shots, setupUrl, ...tables] = process.argv.slice(2);
const require = createRequire(join(modules, "package.json"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const PASSWORD = "correct horse battery";
const WAIT = 60_000;
const LOOKS = ["light", "dark"].flatMap((scheme) => [1440, 390].map((width) => ({ scheme, width })));
const base = new URL(setupUrl).origin;
const wrong = [];
mkdirSync(shots, { recursive: true });

/** Notes what is not as it should be, and goes on, so that one run says all. */
function expect(holds, what) {
  if (!holds) wrong.push(what);
}

/** A page of a look, whose console is listened to. */
async function open(context, name) {
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT);
  page.on("console", (message) => {
    if (message.type() === "error") wrong.push(`${name}: console: ${message.text()} at ${page.url()}`);
  });
  page.on("pageerror", (error) => wrong.push(`${name}: script: ${error} at ${page.url()}`));
  return page;
}

/** Looks at a page as it stands. */
async function inspect(page, look, title) {
  const name = `${title}-${look.scheme}-${look.width}`;
  await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  expect(wide <= 0, `${name}: the page scrolls sideways by ${wide} pixels`);
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document));
  for (const { id, impact, nodes } of violations) {
    const where = nodes.slice(0, 3).map((node) => node.target.join(" ")).join("; ");
    if (impact === "serious" || impact === "critical") wrong.push(`${name}: axe ${impact}: ${id} at ${where}`);
    else console.log(`${name}: axe ${impact}: ${id} at ${where}`);
  }
}

const form = (page, button) => page.locator("form.wish", { has: page.getByRole("button", { name: button, exact: true }) });

/** Presses the button of a run's page and waits until the run that begins has ended. */
async function to_the_end(page, press) {
  const before = page.url();
  await press();
  await page.waitForURL((url) => url.pathname.startsWith("/runs/") && url.href !== before);
  await page.locator("dt", { hasText: /^Ended$/ }).waitFor();
  return page.locator("h1 .word").innerText();
}

async function first_account(browser) {
  const context = await browser.newContext({ colorScheme: "light", viewport: { width: 390, height: 800 } });
  const page = await open(context, "setup");
  await page.goto(setupUrl);
  expect(!page.url().includes("token"), "setup: the token stays in the address");
  await inspect(page, LOOKS[0], "setup");
  await page.getByLabel("Name").fill("ann");
  await page.getByLabel(/^Password/).fill(PASSWORD);
  await page.getByRole("button").click();
  await page.locator("h1.sentence").waitFor();
  await context.close();
}

async function log_in(page, look) {
  // that nobody is known is said by a status, which a browser may note
  page.removeAllListeners("console");
  const response = await page.goto(`${base}/tables`);
  expect(response.status() === 401, `log in: ${response.status()}`);
  await inspect(page, look, "login");
  await page.getByLabel("Name").fill("ann");
  await page.getByLabel("Password").fill("wrong horse");
  await page.keyboard.press("Enter");
  await page.locator("#said.bad", { hasText: "name or password is wrong" }).waitFor();
  await page.getByLabel("Password").fill(PASSWORD);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "Tables" }).waitFor();
}

async function follow(page, look, table) {
  await page.goto(base);
  expect((await page.locator("h1.sentence").innerText()).includes("2 masters"), "the sentence counts the masters");
  await inspect(page, look, "home");
  await page.getByRole("link", { name: table, exact: true }).first().click();
  await page.locator("tr.differs mark").first().waitFor();
  await inspect(page, look, "table");
  const verdict = await to_the_end(page, () => page.getByRole("button", { name: "Check this table now" }).click());
  expect(verdict.includes("different"), `the check of ${table} says ${verdict}`);
  const divergence = page.locator("article.divergence").first();
  const row = divergence.locator("tr.differs", { has: page.locator("th", { hasText: "customer" }) });
  const marks = await row.locator("mark").allInnerTexts();
  expect(marks.length === 2 && marks[0] !== marks[1], `versions side by side are ${marks}`);
  const nodes = await divergence.locator("thead th").allInnerTexts();
  expect(nodes.join() === "Column,on n1,on n2", `versions are headed ${nodes}`);
  await inspect(page, look, "run");
}

async function acknowledge(page, look, table) {
  await page.goto(`${base}/alerts`);
  const alert = page.locator("article.alert", { has: page.getByRole("link", { name: table, exact: true }) });
  await alert.getByLabel(/What you know/).fill("known: it is mended today");
  await inspect(page, look, "alerts");
  await alert.getByRole("button", { name: "Acknowledge" }).click();
  await alert.getByText("acknowledged by ann").waitFor().catch(async () => {
    expect((await alert.innerText()).includes("acknowledged"), `the alert of ${table} is not acknowledged`);
  });
}

async function repair(page, look, table, run) {
  await page.goto(run);
  const plan = form(page, "Plan the repair");
  await plan.getByLabel("Who is right").selectOption("prefer=n1");
  expect((await plan.locator("code").innerText()).endsWith("--policy prefer=n1"), "the command follows the form");
  const planned = await to_the_end(page, () => plan.getByRole("button").click());
  expect(planned.includes("planned"), `the plan says ${planned}`);
  const sql = await page.locator("ol.steps pre").first().innerText();
  expect(sql.startsWith("UPDATE ") && sql.includes("customer"), `the plan is ${sql}`);
  await inspect(page, look, "plan");
  const execute = form(page, "Carry out this plan");
  await execute.getByLabel("Names of the tables").fill("yes");
  // that it was refused is said by a status, which a browser notes
  const heard = page.listeners("console");
  page.removeAllListeners("console");
  await execute.getByRole("button").click();
  await page.locator("#said.bad", { hasText: `confirm with: ${table}` }).waitFor();
  await inspect(page, look, "refused");
  heard.forEach((listener) => page.on("console", listener));
  await execute.getByLabel("Names of the tables").fill(table);
  const done = await to_the_end(page, () => execute.getByRole("button").click());
  expect(done.includes("identical"), `the repair says ${done}`);
  await inspect(page, look, "repair");
}

async function the_rest(page, look) {
  for (const path of ["/tables?q=shop", "/runs", "/schedules", "/alerts", "/account", "/audit", "/runs/nobody"]) {
    // what is not there is said by a status, which a browser notes
    const heard = page.listeners("console");
    if (path.endsWith("nobody")) page.removeAllListeners("console");
    await page.goto(base + path);
    await inspect(page, look, path.replaceAll(/\W+/g, "-").slice(1));
    heard.forEach((listener) => path.endsWith("nobody") && page.on("console", listener));
  }
  await page.goto(base);
  await page.keyboard.press("Tab");
  const skip = await page.evaluate(() => document.activeElement.textContent);
  expect(skip === "To the content", `the first stop of the keyboard is ${skip}`);
  await inspect(page, look, "skip");
}

const browser = await chromium.launch({
  executablePath,
  headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
try {
  await first_account(browser);
  for (const [n, look] of LOOKS.entries()) {
    const context = await browser.newContext({ colorScheme: look.scheme, viewport: { width: look.width, height: 900 } });
    const door = await open(context, "login");
    await log_in(door, look);
    await door.close();
    const page = await open(context, `${look.scheme}-${look.width}`);
    await follow(page, look, tables[n]);
    const run = page.url();
    await acknowledge(page, look, tables[n]);
    await repair(page, look, tables[n], run);
    await the_rest(page, look);
    await context.close();
  }
} catch (error) {
  wrong.push(`it went no further: ${error.stack}`);
} finally {
  await browser.close();
}
wrong.forEach((what) => console.error(what));
console.log(wrong.length === 0 ? "the page is as it should be" : `${wrong.length} things are wrong`);
process.exitCode = wrong.length === 0 ? 0 : 1;
