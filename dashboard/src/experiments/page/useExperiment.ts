import { useQuery } from "@tanstack/react-query";
import { loadExperiment } from "../../api/experiments";

/** One experiment with the version that `If-Match` wants; renewed while one looks. */
export function useExperiment(id: string) {
  return useQuery({
    queryKey: ["experiment", id],
    queryFn: ({ signal }) => loadExperiment(id, signal),
    refetchInterval: 10_000,
  });
}
