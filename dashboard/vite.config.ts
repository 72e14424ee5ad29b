import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// Where the control plane of `npm run dev` listens.
const controlPlane = process.env["CONTROL_PLANE_URL"] ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [react()],
  build: {
    // Everything ships inside the binary, so data: URLs would only bloat the initial script.
    assetsInlineLimit: 0,
    target: "es2022",
    // Kilobytes before compression; the initial script stays below 350 KB compressed.
    chunkSizeWarningLimit: 900,
  },
  server: {
    host: "127.0.0.1",
    proxy: { "/api": { target: controlPlane, changeOrigin: false } },
  },
});
