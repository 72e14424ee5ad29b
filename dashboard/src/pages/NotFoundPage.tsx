import { Empty } from "../components/Empty";
import { LinkButton } from "../components/LinkButton";
import { PageHead } from "../components/PageHead";

export function NotFoundPage() {
  return (
    <>
      <PageHead title="No such page" />
      <div className="card">
        <Empty
          title="There is nothing at this address"
          action={<LinkButton to="/experiments">To the experiments</LinkButton>}
        >
          It may have been mistyped, or it belongs to another version of the dashboard.
        </Empty>
      </div>
    </>
  );
}
