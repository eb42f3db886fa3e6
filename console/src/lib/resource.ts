import { useCallback, useEffect, useRef, useState } from "preact/hooks";

/** What was loaded, or why not. While it is loaded anew, the last data stays. */
export interface Resource<Data> {
  data: Data | undefined;
  fault: Error | undefined;
  isLoading: boolean;
  reload: () => void;
}

/**
 * Load something, and anew whenever `key` changes. An answer that comes after a newer question is dropped, and
 * the question itself is aborted. `key` null: not yet.
 */
export function useResource<Data>(
  key: string | null,
  load: (signal: AbortSignal) => Promise<Data>,
): Resource<Data> {
  const [state, setState] = useState<{ data?: Data; fault?: Error; isLoading: boolean }>({
    isLoading: key !== null,
  });
  const [round, setRound] = useState(0);
  const latest = useRef(load);
  latest.current = load;
  // A new `round` loads again.
  useEffect(() => {
    if (key === null) return;
    const abort = new AbortController();
    setState((before) => ({ ...before, isLoading: true }));
    latest.current(abort.signal).then(
      (data) => {
        if (!abort.signal.aborted) setState({ data, isLoading: false });
      },
      (fault: Error) => {
        if (!abort.signal.aborted) setState((before) => ({ ...before, fault, isLoading: false }));
      },
    );
    return () => abort.abort();
  }, [key, round]);
  const reload = useCallback(() => setRound((before) => before + 1), []);
  return { data: state.data, fault: state.fault, isLoading: state.isLoading, reload };
}

/** A change that a person asks for. While it runs, asking for it again does nothing. */
export interface Action<Arguments extends unknown[]> {
  /** Runs it. It never throws: `fault` says why it failed. */
  run: (...values: Arguments) => Promise<void>;
  isRunning: boolean;
  fault: Error | undefined;
  clear: () => void;
}

/** Let a person ask for a change: what `act` throws becomes `fault`. */
export function useAction<Arguments extends unknown[]>(
  act: (...values: Arguments) => Promise<void>,
): Action<Arguments> {
  const [isRunning, setRunning] = useState(false);
  const [fault, setFault] = useState<Error>();
  // Not the state, which a second click may come before.
  const runs = useRef(false);
  const run = async (...values: Arguments): Promise<void> => {
    if (runs.current) return;
    runs.current = true;
    setRunning(true);
    setFault(undefined);
    try {
      await act(...values);
    } catch (error) {
      setFault(error instanceof Error ? error : new Error(String(error)));
    } finally {
      runs.current = false;
      setRunning(false);
    }
  };
  return { run, isRunning, fault, clear: () => setFault(undefined) };
}
