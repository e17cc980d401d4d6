import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

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

/** Tells the service worker what it shall have before it is asked: the shell, never the editor. */
function shell(): Plugin {
  return {
    name: "shell",
    generateBundle(_options, bundle) {
      const worker = bundle["sw.js"];
      if (worker?.type !== "chunk") return;
      const files = Object.values(bundle)
        .filter((file) => file.fileName.startsWith("assets/"))
        .filter((file) => file.type !== "chunk" || !/(compose|editor|settings|admin|texts)/i.test(file.fileName))
        .map((file) => `/${file.fileName}`)
        .sort();
      worker.code = worker.code.replace(/(["'`])__SHELL__\1/, JSON.stringify(["/", ...files]));
    },
  };
}

export default defineConfig({
  base: "/",
  plugins: [shell(), precompress()],
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
      },
    },
  },
});
