// The hook is what OpenFeature takes: checked by the compiler, never run.

import type { Hook } from "@openfeature/web-sdk";
import { exposureHook } from "../src/openfeature.js";

export const hook: Hook = exposureHook({
  edge: "https://edge.example.com",
  sdkKey: "sk_client_production_x",
});
