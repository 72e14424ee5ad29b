/** Every page of the dashboard and its address. */
import type { QueryClient } from "@tanstack/react-query";
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
  retainSearchParams,
} from "@tanstack/react-router";
import type { Place } from "./api/session";
import { Shell } from "./components/Shell";
import { ExperimentsPage } from "./experiments/ExperimentsPage";
import { ExperimentPage } from "./experiments/page/ExperimentPage";
import { SetupTab } from "./experiments/page/SetupTab";
import { FlagsPage } from "./pages/FlagsPage";
import { LayersPage } from "./pages/LayersPage";
import { MetricsPage } from "./pages/MetricsPage";
import { NotFoundPage } from "./pages/NotFoundPage";
import { SegmentsPage } from "./pages/SegmentsPage";

const text = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value : undefined;

const root = createRootRouteWithContext<{ queryClient: QueryClient }>()({
  // Every address names its place, so that it can be passed on.
  validateSearch: (search: Record<string, unknown>): Place => {
    const project = text(search["project"]);
    const environment = text(search["environment"]);
    return { ...(project ? { project } : {}), ...(environment ? { environment } : {}) };
  },
  search: { middlewares: [retainSearchParams(["project", "environment"])] },
  component: Shell,
  notFoundComponent: NotFoundPage,
});

const home = createRoute({
  getParentRoute: () => root,
  path: "/",
  beforeLoad: () => {
    // The router's way of answering "elsewhere".
    // eslint-disable-next-line @typescript-eslint/only-throw-error
    throw redirect({ to: "/experiments" });
  },
});

/** What the list is narrowed to; part of the address, so that it can be shared. */
export interface ExperimentsSearch {
  q?: string;
  status?: string;
}

const experiments = createRoute({
  getParentRoute: () => root,
  path: "/experiments",
  component: ExperimentsPage,
  validateSearch: (search: Record<string, unknown>): ExperimentsSearch => {
    const q = text(search["q"]);
    const status = text(search["status"]);
    return { ...(q ? { q } : {}), ...(status ? { status } : {}) };
  },
});
const createExperiment = createRoute({
  getParentRoute: () => root,
  path: "/experiments/new",
  component: lazyRouteComponent(
    () => import("./experiments/create/CreateExperimentPage"),
    "CreateExperimentPage",
  ),
});
const experiment = createRoute({
  getParentRoute: () => root,
  path: "/experiments/$id",
  component: ExperimentPage,
});
const experimentSetup = createRoute({ getParentRoute: () => experiment, path: "/", component: SetupTab });
const experimentResults = createRoute({
  getParentRoute: () => experiment,
  path: "/results",
  component: lazyRouteComponent(() => import("./experiments/results/ResultsTab"), "ResultsTab"),
});
const flags = createRoute({ getParentRoute: () => root, path: "/flags", component: FlagsPage });
const metrics = createRoute({ getParentRoute: () => root, path: "/metrics", component: MetricsPage });
const segments = createRoute({ getParentRoute: () => root, path: "/segments", component: SegmentsPage });
const layers = createRoute({ getParentRoute: () => root, path: "/layers", component: LayersPage });

const routeTree = root.addChildren([
  home,
  experiments,
  createExperiment,
  experiment.addChildren([experimentSetup, experimentResults]),
  flags,
  metrics,
  segments,
  layers,
]);

export function createAppRouter(queryClient: QueryClient) {
  return createRouter({
    routeTree,
    context: { queryClient },
    defaultPreload: "intent",
    scrollRestoration: true,
  });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof createAppRouter>;
  }
}
