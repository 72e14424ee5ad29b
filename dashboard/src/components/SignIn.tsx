import { Anchor, Button, Paper, PasswordInput, Stack, Text, Title } from "@mantine/core";
import { useEffect, useState, type SubmitEvent } from "react";
import { listEnvironments, listProjects } from "../api/catalogue";
import { asProblem } from "../api/problem";
import { placeInAddress, setSession } from "../api/session";
import { Mark } from "./Mark";

/** The name that is wanted if it is there, else the usual one, else any. */
function choose(names: string[], wanted: string | undefined, usual: string): string {
  return [wanted, usual].find((name) => name !== undefined && names.includes(name)) ?? names[0] ?? usual;
}

/** Opens the place that the address names, else what a new installation has; both can be changed once inside. */
async function signIn(token: string): Promise<void> {
  const wanted = placeInAddress();
  const projects = await listProjects(null, { token, project: "", environment: "" });
  const project = choose(
    projects.map(({ name }) => name),
    wanted.project,
    "default",
  );
  const environments = await listEnvironments(null, { token, project, environment: "" });
  const environment = choose(
    environments.map(({ name }) => name),
    wanted.environment,
    "production",
  );
  setSession({ token, project, environment });
}

/** Asks for an API token. */
export function SignIn() {
  const [token, setToken] = useState("");
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);

  useEffect(() => {
    document.title = "Sign in · Sortition";
  }, []);

  async function submit(event: SubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    if (token.trim() === "") {
      setError("Enter an API token.");
      return;
    }
    setBusy(true);
    setError(null);
    try {
      await signIn(token.trim());
    } catch (thrown) {
      const problem = asProblem(thrown);
      setError(problem.status === 401 ? "This token is not known, or has been revoked." : problem.detail);
      setBusy(false);
    }
  }

  return (
    <main style={{ minHeight: "100vh", display: "grid", placeItems: "center", padding: 16 }}>
      <Paper className="card" w="100%" maw={420} shadow="xs">
        <form onSubmit={submit} noValidate>
          <Stack>
            <Mark />
            <Title order={1} size="h3">
              Sign in
            </Title>
            <PasswordInput
              label="API token"
              description="It starts with st_. Kept in this tab only, and forgotten when the tab is closed."
              value={token}
              onChange={(event) => setToken(event.currentTarget.value)}
              error={error}
              aria-invalid={error !== null}
              autoComplete="off"
              data-autofocus
              data-testid="token"
              visibilityToggleButtonProps={{ "aria-label": "Show the token" }}
            />
            <Button type="submit" loading={busy} data-testid="sign-in">
              Sign in
            </Button>
            <Text size="sm" c="dimmed">
              A local platform writes its admin token to <code>.sortition/dev.json</code>. The interface that
              this page uses is described at{" "}
              <Anchor href="/api/v1/openapi.json" size="sm" underline="always">
                /api/v1/openapi.json
              </Anchor>
              .
            </Text>
          </Stack>
        </form>
      </Paper>
    </main>
  );
}
