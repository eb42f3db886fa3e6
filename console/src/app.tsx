import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ErrorBoundary, LocationProvider, Route, Router, useLocation } from "preact-iso";
import { isAdmin, session, signOut } from "./api/session.ts";
import { COMMON } from "./i18n/common.ts";
import { SHELL } from "./i18n/shell.ts";
import { textsOf } from "./i18n/texts.ts";
import { SignIn } from "./pages/signin.tsx";
import { Boundary } from "./shell/boundary.tsx";
import { later } from "./shell/later.tsx";
import { Shell } from "./shell/shell.tsx";
import { Button, Empty, FaultNote, Page } from "./ui/basics.tsx";
import { Toasts } from "./ui/toast.tsx";

const Overview = later(() => import("./pages/overview/page.tsx"));
const Mine = later(() => import("./pages/mine/page.tsx"));
const Playground = later(() => import("./pages/playground/page.tsx"));
const Models = later(() => import("./pages/models/page.tsx"));
const Keys = later(() => import("./pages/keys/page.tsx"));
const Projects = later(() => import("./pages/projects/page.tsx"));
const Requests = later(() => import("./pages/requests/page.tsx"));
const Usage = later(() => import("./pages/usage/page.tsx"));
const System = later(() => import("./pages/system/page.tsx"));

export function App(): JSX.Element {
  return (
    <LocationProvider scope="/console">
      {session.value === null ? <SignIn /> : <Signed />}
      <Toasts />
    </LocationProvider>
  );
}

/** False for an address such as `/console/keys/%E0`, which a router can't read. */
function isReadable(path: string): boolean {
  try {
    return decodeURIComponent(path) !== ""; // a call whose value nobody used would be taken out of the build
  } catch {
    return false;
  }
}

function Signed(): JSX.Element {
  const { path } = useLocation();
  if (!isReadable(path)) {
    return (
      <Shell>
        <NotFound />
      </Shell>
    );
  }
  return (
    <Shell>
      <Boundary path={path}>
        <ErrorBoundary>
          {isAdmin.value ? (
            <Router>
              <Route path="/console/" component={Overview} />
              <Route path="/console/playground" component={Playground} />
              <Route path="/console/models/:id*" component={Models} />
              <Route path="/console/keys/:id?" component={Keys} />
              <Route path="/console/projects/:id?" component={Projects} />
              <Route path="/console/requests/:id?" component={Requests} />
              <Route path="/console/usage" component={Usage} />
              <Route path="/console/system" component={System} />
              <Route default component={NotFound} />
            </Router>
          ) : (
            <Router>
              <Route path="/console/" component={Mine} />
              <Route path="/console/playground" component={Playground} />
              <Route default component={NotFound} />
            </Router>
          )}
        </ErrorBoundary>
      </Boundary>
    </Shell>
  );
}

function NotFound(): JSX.Element {
  const t = textsOf(SHELL);
  return (
    <Page title={t.notFound}>
      <Empty title={t.notFound}>
        <a href="/console/">{t.toOverview}</a>
      </Empty>
    </Page>
  );
}

/** Before anything is known of the gateway. */
export function Start({ resume }: { resume: () => Promise<void> }): JSX.Element | null {
  const t = textsOf(COMMON);
  const [isReady, setReady] = useState(false);
  const [fault, setFault] = useState<Error | null>(null);
  useEffect(() => {
    resume().then(() => setReady(true), setFault);
  }, [resume]);
  if (isReady) return <App />;
  if (fault === null) return <p class="unseen">{t.loading}</p>;
  return (
    <main class="gate">
      <FaultNote fault={fault} onRetry={() => location.reload()} />
      <Button
        onClick={() => {
          signOut();
          setReady(true);
        }}
      >
        {textsOf(SHELL).signOut}
      </Button>
    </main>
  );
}
