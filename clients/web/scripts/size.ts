// How much each page weighs on its way to the browser, compressed as servers do it, and whether that is within its budget.
import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const BUDGET: Readonly<Record<string, number>> = { "ops.html": 60_000 };
const DIST = new URL("../dist/", import.meta.url);

for (const page of readdirSync(DIST).filter((name) => name.endsWith(".html"))) {
  const html = readFileSync(new URL(page, DIST), "utf8");
  const files = [...html.matchAll(/(?:src|href)="\/web\/([^"]+)"/g)].map((match) => match[1] ?? "");
  const sizes = [html, ...files.map((file) => readFileSync(new URL(file, DIST)))].map((file) => gzipSync(file).length);
  const whole = sizes.reduce((sum, one) => sum + one, 0);
  const budget = BUDGET[page];
  console.log(`${page}: ${whole} bytes gzipped, of ${budget ?? "no budget"}`);
  if (budget === undefined || whole > budget) process.exitCode = 1;
}
