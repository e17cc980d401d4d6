import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build, defineConfig, type Plugin, type Rolldown } from "vite";

const COMPRESSED = /\.(js|css|html|svg|webmanifest)$/;

/** Lays a .gz and a .br beside each file that gets smaller by it: the server sends what the browser takes. */
function precompress(): Plugin {
  let folder = "";
  return {
    name: "precompress",
    configResolved(config) {
      folder = config.build.outDir;
    },
    closeBundle() {
      for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
        if (!COMPRESSED.test(name)) continue;
        const octets = readFileSync(join(folder, name));
        writeFileSync(join(folder, `${name}.gz`), gzipSync(octets, { level: 9 }));
        const quality = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY };
        writeFileSync(join(folder, `${name}.br`), brotliCompressSync(octets, { params: quality }));
      }
    },
  };
}

/**
 * Writes `boot.ts` of each page into its head, so that it runs before anything else has been asked for. The
 * server names its hash in the page's policy.
 */
function boot(): Plugin {
  return {
    name: "boot",
    transformIndexHtml: {
      order: "post",
      async handler(html, { path }) {
        const entry = path.endsWith("admin.html") ? "src/admin/boot.ts" : "src/boot.ts";
        const made = (await build({
          configFile: false, logLevel: "warn", publicDir: false,
          build: { write: false, target: "es2022", lib: { entry, formats: ["iife"], name: "boot" } },
        })) as Rolldown.RolldownOutput[];
        return html.replace("<!-- boot -->", () => `<script>${made[0]!.output[0].code.trim()}</script>`);
      },
    },
  };
}

/** Tells the service worker what it shall have before it is asked: all that reading and writing need. */
function shell(): Plugin {
  return {
    name: "shell",
    generateBundle(_options, bundle) {
      const worker = bundle["sw.js"];
      if (worker?.type !== "chunk") return;
      const files = Object.values(bundle)
        .filter((file) => file.fileName.startsWith("assets/"))
        .filter((file) => file.type !== "chunk" || !/(settings|admin|texts)/i.test(file.fileName))
        .map((file) => `/${file.fileName}`)
        .sort();
      worker.code = worker.code.replace(/(["'`])__SHELL__\1/, JSON.stringify(["/", ...files]));
    },
  };
}

const paper = createHash("sha256").update(readFileSync("public/paper.html")).digest("hex").slice(0, 16);

export default defineConfig({
  base: "/",
  define: { __PAPER__: JSON.stringify(`/paper.html?${paper}`) },
  plugins: [boot(), shell(), precompress()],
  build: {
    outDir: process.env.POSTILLON_WEBMAIL_OUT ?? "../src/postillon/access/webmail/built",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: {
      input: { index: "index.html", admin: "admin.html", sw: "src/sw.ts" },
      output: {
        entryFileNames: (chunk) => (chunk.name === "sw" ? "sw.js" : "assets/[name]-[hash].js"),
        chunkFileNames: "assets/[name]-[hash].js",
        assetFileNames: "assets/[name]-[hash][extname]",
        // Three files rather than many small ones: each request costs a slow processor more than its octets.
        codeSplitting: {
          groups: [
            { name: "ground", test: /node_modules.(preact|@preact)|src.(i18n.(index|en|moments)|lib.(dom|early)|views.common|state.(app|auth)|style.(base|parts|settings))|preload-helper|rolldown.runtime/, priority: 2 },
            { name: "mail", test: /src.(state.(list|mail|actions|compose|keys|push|session|notify)|jmap|lib.(address|search|text))/, minShareCount: 2 },
          ],
        },
      },
    },
  },
});
