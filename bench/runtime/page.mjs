// Opens a page of `adascale tree -f html` in headless Chromium: console, requests, width, accessibility (axe-core).
//
// Usage, in a folder with `npm install puppeteer-core axe-core @sparticuz/chromium`:
//   cp .../bench/runtime/page.mjs . && node page.mjs PAGE.html [SCREENSHOT.png]
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import chromium from "@sparticuz/chromium";
import puppeteer from "puppeteer-core";

const [page_, screenshot] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const browser = await puppeteer.launch({
  args: await puppeteer.defaultArgs({ args: chromium.args, headless: "shell" }),
  executablePath: await chromium.executablePath(),
  headless: "shell",
});
const found = { console: [], requests: 0, overflow: {}, violations: {} };
for (const scheme of ["light", "dark"]) {
  for (const width of [1280, 400]) {
    const page = await browser.newPage();
    await page.setViewport({ width, height: 900 });
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    page.on("console", (message) => found.console.push(message.text()));
    page.on("pageerror", (error) => found.console.push(String(error)));
    page.on("request", () => (found.requests += 1));
    await page.goto(`file://${resolve(page_)}`);
    if (scheme === "light" && width === 1280 && screenshot) await page.screenshot({ path: screenshot });
    await page.evaluate(() => document.querySelectorAll("details").forEach((fold) => (fold.open = true)));
    found.overflow[`${width} ${scheme}`] = await page.evaluate(
      () => document.documentElement.scrollWidth - window.innerWidth,
    );
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => axe.run());
    found.violations[`${width} ${scheme}`] = violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`);
    await page.close();
  }
}
await browser.close();
console.log(JSON.stringify(found));
