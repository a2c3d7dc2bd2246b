// How much the library weighs in a page: everything it offers, minified, and compressed as servers do it.
import { gzipSync } from "node:zlib";
import { build } from "vite";

const result = await build({
  root: new URL("..", import.meta.url).pathname,
  logLevel: "silent",
  configFile: false,
  build: {
    write: false,
    target: "es2022",
    minify: true,
    modulePreload: false,
    // Not as a library: there, Vite leaves white space in for bundlers to come.
    rolldownOptions: { input: "dist/index.js", preserveEntrySignatures: "strict" },
  },
});
const outputs = (Array.isArray(result) ? result : [result]).flatMap((one) => ("output" in one ? one.output : []));
const code = outputs.flatMap((one) => (one.type === "chunk" ? [one.code] : [])).join("");
console.log(`${code.length} bytes minified, ${gzipSync(code, { level: 9 }).length} bytes gzipped`);
