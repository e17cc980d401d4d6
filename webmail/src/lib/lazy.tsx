import type { ComponentType, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

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
    useEffect(() => {
      let alive = true;
      if (!known) void fetchIt().then(() => alive && again(1), () => undefined);
      return () => {
        alive = false;
      };
    }, []);
    const View = known;
    return View ? <View {...props} /> : wait();
  };
  Lazy.preload = fetchIt;
  return Lazy;
}
