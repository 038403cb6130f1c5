import { createContext } from "preact";
import { useContext, useEffect, useState } from "preact/hooks";
import type { ContextsState } from "../contexts_controller";
import type { Controller, State } from "../controller";
import type { Observable } from "../store/observable";

export const ControllerContext = createContext<Controller | null>(null);

export function useController(): Controller {
  const controller = useContext(ControllerContext);
  if (!controller) throw new Error("no controller above this component");
  return controller;
}

/** The state, drawn anew whenever it changes. */
export function useAppState(): State {
  return useObservable(useController().state);
}

/** The server's contexts, drawn anew whenever they change. */
export function useContexts(): ContextsState {
  return useObservable(useController().contexts.state);
}

function useObservable<T extends object>(state: Observable<T>): T {
  const [value, setValue] = useState(state.value);
  useEffect(() => {
    setValue(state.value);
    return state.subscribe(() => setValue(state.value));
  }, [state]);
  return value;
}

/** The time in milliseconds, four times a second while `active`. */
export function useClock(active: boolean): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (!active) return undefined;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 250);
    return () => clearInterval(timer);
  }, [active]);
  return now;
}
