/** Small things about the page. */

export function download(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** Does it when the page has nothing else to do, at the latest after two seconds. Returns what calls it off. */
export function later(run: () => void): () => void {
  if (!("requestIdleCallback" in globalThis)) {
    const timer = setTimeout(run, 200);
    return () => clearTimeout(timer);
  }
  const asked = requestIdleCallback(run, { timeout: 2_000 });
  return () => cancelIdleCallback(asked);
}

/** Whether keys typed now belong to a field. */
export function typing(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
}

export function stored<T>(key: string, otherwise: T): T {
  try {
    const text = localStorage.getItem(`postillon.${key}`);
    return text === null ? otherwise : (JSON.parse(text) as T);
  } catch {
    return otherwise;
  }
}

export function store(key: string, value: unknown): void {
  try {
    if (value === undefined) localStorage.removeItem(`postillon.${key}`);
    else localStorage.setItem(`postillon.${key}`, JSON.stringify(value));
  } catch {
    // A browser that keeps nothing still shows mail.
  }
}

/** Media types that a browser shows without running anything that is in them. */
export function previewKind(type: string): "image" | "text" | "pdf" | "audio" | "video" | null {
  const plain = type.toLowerCase();
  if (/^image\/(png|jpe?g|gif|webp|avif|bmp)$/.test(plain)) return "image";
  if (plain === "application/pdf") return "pdf";
  if (/^audio\/(mpeg|mp4|ogg|wav|x-wav|webm|flac|aac)$/.test(plain)) return "audio";
  if (/^video\/(mp4|webm|ogg)$/.test(plain)) return "video";
  if (/^text\/(plain|csv|calendar|vcard|x-vcard|x-patch|x-diff|markdown)$/.test(plain)) return "text";
  if (/^application\/(json|x-yaml|toml)$/.test(plain)) return "text";
  return null;
}
