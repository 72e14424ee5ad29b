import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts"],
    environment: "node",
    // Formatting is locale aware; the tests state what an English reader in UTC sees.
    env: { TZ: "UTC", LANG: "en_US.UTF-8" },
  },
});
