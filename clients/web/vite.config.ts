// One page, one input. Everything goes into files of its own, so that the strictest content policy lets it run:
// no inline script or style, no data: address.
import { defineConfig } from "vitest/config";

const PAGES = { ops: "ops.html" };

export default defineConfig({
  base: "/web/",
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: { input: PAGES },
  },
  test: { include: ["test/**/*.test.ts"], unstubGlobals: true },
});
