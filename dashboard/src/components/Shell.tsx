import {
  AppShell,
  Burger,
  Button,
  Group,
  Select,
  useComputedColorScheme,
  useMantineColorScheme,
} from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useLocation, useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect } from "react";
import { listEnvironments, listProjects } from "../api/catalogue";
import { setSession } from "../api/session";
import { Mark } from "./Mark";
import { useSession } from "./useSession";

const PAGES = [
  { to: "/experiments", label: "Experiments" },
  { to: "/flags", label: "Flags" },
  { to: "/metrics", label: "Metrics" },
  { to: "/segments", label: "Segments" },
  { to: "/layers", label: "Layers" },
] as const;

/** A picker's options, with the chosen one even before the list has arrived. */
function options(names: string[] | undefined, chosen: string): string[] {
  return names?.includes(chosen) ? names : [chosen, ...(names ?? [])];
}

/** Switches between light and dark colours; the browser remembers. */
function ColorSchemeButton() {
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme("light");
  const other = scheme === "light" ? "dark" : "light";
  return (
    <Button
      mt="auto"
      size="xs"
      variant="default"
      onClick={() => setColorScheme(other)}
      data-testid="color-scheme"
    >
      {other === "dark" ? "Dark colours" : "Light colours"}
    </Button>
  );
}

/** The frame of every page: where one is, where one can go, as whom. */
export function Shell() {
  const [opened, { toggle, close }] = useDisclosure();
  const session = useSession();
  const client = useQueryClient();
  const navigate = useNavigate();
  const projects = useQuery({ queryKey: ["projects"], queryFn: ({ signal }) => listProjects(signal) });
  const environments = useQuery({
    queryKey: ["environments", session?.project],
    queryFn: ({ signal }) => listEnvironments(signal),
  });
  const place = useSearch({ from: "__root__" });
  const pathname = useLocation({ select: (location) => location.pathname });

  const { project = session?.project, environment = session?.environment } = place;
  const inPlace = project === session?.project && environment === session?.environment;

  // The address says where one is. What belongs to another place is forgotten before anything is asked of this one.
  useEffect(() => {
    if (session === null || project === undefined || environment === undefined) return;
    if (!inPlace) {
      client.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== "projects" });
      setSession({ ...session, project, environment });
    }
    if (place.project === undefined || place.environment === undefined) {
      void navigate({
        to: pathname,
        search: (before) => ({ ...before, project, environment }),
        replace: true,
      });
    }
  }, [client, environment, inPlace, navigate, pathname, place, project, session]);
  if (session === null) return null;

  function move(to: { project: string; environment: string }) {
    return navigate({ to: "/experiments", search: to });
  }

  async function chooseProject(chosen: string | null) {
    if (session === null || chosen === null || chosen === session.project) return;
    const list = await listEnvironments(null, { ...session, project: chosen, environment: "" });
    const environment = list.find(({ name }) => name === session.environment) ?? list[0];
    await move({ project: chosen, environment: environment?.name ?? "production" });
  }

  return (
    <AppShell
      header={{ height: 56 }}
      navbar={{ width: 190, breakpoint: "sm", collapsed: { mobile: !opened } }}
      padding="lg"
    >
      <a className="skip-link" href="#main">
        Skip to the content
      </a>
      <AppShell.Header bg="var(--card-ground)">
        <Group h="100%" px="md" justify="space-between" wrap="nowrap">
          <Group gap="sm" wrap="nowrap">
            <Burger opened={opened} onClick={toggle} hiddenFrom="sm" size="sm" aria-label="Menu" />
            <Mark narrow />
          </Group>
          <Group gap="xs" wrap="nowrap">
            <Select
              aria-label="Project"
              data-testid="project"
              size="xs"
              w={{ base: 100, sm: 150 }}
              data={options(
                projects.data?.map(({ name }) => name),
                session.project,
              )}
              value={session.project}
              onChange={chooseProject}
              allowDeselect={false}
            />
            <Select
              aria-label="Environment"
              data-testid="environment"
              size="xs"
              w={{ base: 100, sm: 150 }}
              data={options(
                environments.data?.map(({ name }) => name),
                session.environment,
              )}
              value={session.environment}
              onChange={(chosen) =>
                chosen !== null && void move({ project: session.project, environment: chosen })
              }
              allowDeselect={false}
            />
            <Button
              size="xs"
              variant="default"
              data-testid="sign-out"
              onClick={() => {
                setSession(null);
                client.clear();
              }}
            >
              Sign out
            </Button>
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="sm" bg="var(--card-ground)" aria-label="Pages">
        {PAGES.map(({ to, label }) => (
          <Link key={to} to={to} className="nav-link" onClick={close}>
            {label}
          </Link>
        ))}
        <ColorSchemeButton />
      </AppShell.Navbar>
      <AppShell.Main id="main">{inPlace && <Outlet />}</AppShell.Main>
    </AppShell>
  );
}
