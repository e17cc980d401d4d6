import type { ComponentType, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

/** Fired where code could not be fetched: there is no network, or a newer version has taken its place. */
export const CODE_MISSING = "postillon-code-missing";

/** A view whose code is fetched when it is first shown. */
export function lazy<P extends object>(load: () => Promise<{ default: ComponentType<P> }>, wait: () => JSX.Element | null = () => null) {
  let known: ComponentType<P> | null = null;
  let loading: Promise<void> | null = null;
  const fetchIt = () =>
    (loading ??= load().then((found) => {
      known = found.default;
    }).catch((error) => {
      loading = null;
      throw error;
    }));
  const Lazy = (props: P) => {
    const [, again] = useState(0);
    const View = known;
    useEffect(() => {
      let alive = true;
      // What was drawn counts: the code may have come since, by a preload.
      if (!View) void fetchIt().then(() => alive && again(1), () => dispatchEvent(new Event(CODE_MISSING)));
      return () => {
        alive = false;
      };
    }, []);
    return View ? <View {...props} /> : wait();
  };
  Lazy.preload = fetchIt;
  return Lazy;
}
