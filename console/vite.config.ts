import { defineConfig } from "vite";

/** Of `npx vite`: where it passes on what the page asks. Beside `make demo PORT=9000` it needs to be told. */
const GATEWAY = process.env["LLMGW_BASE_URL"] ?? "http://127.0.0.1:8000";

// The gateway serves what is built here at /console/, out of its own package.
export default defineConfig({
  base: "/console/",
  build: {
    outDir: "../python/llmgw/admin/static",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0, // the content-security-policy allows no data: URL in a style sheet
    modulePreload: { polyfill: false },
    manifest: true, // for scripts/pack.ts, which removes it
    reportCompressedSize: false,
    rolldownOptions: {
      // A page's chunk bears the page's name: src/pages/keys/page.tsx → keys-HASH.js.
      output: {
        chunkFileNames: ({ facadeModuleId, name }) =>
          `assets/${/pages\/(\w+)\/page\.tsx$/.exec(facadeModuleId ?? "")?.[1] ?? name}-[hash].js`,
      },
    },
  },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  server: {
    proxy: { "/admin": GATEWAY, "/v1": GATEWAY },
  },
});
