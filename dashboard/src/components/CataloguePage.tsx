import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Empty } from "./Empty";
import { Loading } from "./Loading";
import { PageHead } from "./PageHead";
import { ProblemAlert } from "./ProblemAlert";

interface CataloguePageProps<T> {
  title: string;
  lead: ReactNode;
  queryKey: string;
  load: (signal: AbortSignal) => Promise<T[]>;
  /** What to say when the list is empty. */
  empty: ReactNode;
  children: (items: T[]) => ReactNode;
}

/** A page that shows one whole list of the environment. */
export function CataloguePage<T>({ title, lead, queryKey, load, empty, children }: CataloguePageProps<T>) {
  const list = useQuery({ queryKey: [queryKey], queryFn: ({ signal }) => load(signal) });
  return (
    <>
      <PageHead title={title} lead={lead} />
      <div className="card">
        {list.isPending ? (
          <Loading what={title.toLowerCase()} />
        ) : list.isError ? (
          <ProblemAlert
            error={list.error}
            what={`Could not load the ${title.toLowerCase()}`}
            onRetry={() => void list.refetch()}
          />
        ) : list.data.length === 0 ? (
          <Empty title={`No ${title.toLowerCase()} yet`}>{empty}</Empty>
        ) : (
          <div className="table-scroll">{children(list.data)}</div>
        )}
      </div>
    </>
  );
}
