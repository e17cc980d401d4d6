/** What the header of a message says of its way: Received (RFC 5321 section 4.4) and Authentication-Results (RFC 8601). */

export interface Field {
  name: string; // in small letters
  value: string; // unfolded
}

export interface Hop {
  from: string; // what the sending side called itself; "" where it is not said
  peer: string; // its address, where it is said
  by: string;
  protocol: string;
  tls: "yes" | "no" | "unknown";
  cipher: string;
  recipient: string;
  at: number; // ms; NaN where there is no date
}

export interface Verdict {
  method: string;
  result: string;
  of: string; // whose domain or address was checked
}

export interface Checks {
  server: string;
  here: boolean; // written by the server that took it last: above its Received field, where no sender can write
  verdicts: Verdict[];
}

const MOST = 100; // fields of one kind that are read

export function fields(source: string): Field[] {
  const head = source.split(/\r?\n\r?\n/, 1)[0] ?? "";
  const found: Field[] = [];
  for (const line of head.split(/\r?\n/)) {
    const start = /^([!-9;-~]+)[ \t]*:(.*)$/.exec(line);
    if (start) found.push({ name: start[1]!.toLowerCase(), value: start[2]!.trim() });
    else if (/^[ \t]/.test(line) && found.length) found.at(-1)!.value += ` ${line.trim()}`;
  }
  return found;
}

export function valuesOf(all: Field[], name: string): string[] {
  return all.filter((field) => field.name === name).map((field) => field.value).slice(0, MOST);
}

/** Comments and what stands between them: "(a (b)) c" gives ["a (b)"] and " c". Quoted text is left as it is. */
export function comments(text: string): { inside: string[]; outside: string } {
  const inside: string[] = [];
  let outside = "";
  let comment = "";
  let depth = 0;
  let quoted = false;
  for (let n = 0; n < text.length; n += 1) {
    const letter = text[n]!;
    if (letter === "\\") {
      const pair = letter + (text[n + 1] ?? "");
      if (depth) comment += text[n + 1] ?? "";
      else outside += pair;
      n += 1;
    } else if (letter === '"' && !depth) {
      quoted = !quoted;
      outside += letter;
    } else if (letter === "(" && !quoted) {
      if (depth++) comment += letter;
      else outside += " ";
    } else if (letter === ")" && depth && !quoted) {
      if (--depth) comment += letter;
      else {
        inside.push(comment.trim());
        comment = "";
      }
    } else if (depth) {
      comment += letter;
    } else {
      outside += letter;
    }
  }
  return { inside, outside };
}

/** Oldest first. */
export function hops(all: Field[]): Hop[] {
  return valuesOf(all, "received").map(hop).reverse();
}

function hop(value: string): Hop {
  const semicolon = value.lastIndexOf(";");
  const { inside, outside } = comments(semicolon < 0 ? value : value.slice(0, semicolon));
  const words = outside.split(/\s+/).filter(Boolean);
  const after = (word: string) => words[words.findIndex((one) => one.toLowerCase() === word) + 1 || words.length] ?? "";
  const protocol = after("with").toUpperCase();
  const cipher = inside.map((one) => /TLS\s?v?1[._]?\d?[^)]*/i.exec(one)?.[0] ?? "").find(Boolean) ?? "";
  const said = /^(?:UTF8)?(?:E?SMTP|LMTP)(S?)A?$/.exec(protocol);
  return {
    from: after("from"),
    peer: inside.map((one) => /\[(?:IPv6:)?([0-9a-f:.]+)\]/i.exec(one)?.[1] ?? "").find(Boolean) ?? "",
    by: after("by"),
    protocol,
    tls: cipher || said?.[1] ? "yes" : said ? "no" : "unknown",
    cipher: cipher.trim(),
    recipient: after("for").replace(/[<>]/g, ""),
    at: semicolon < 0 ? NaN : Date.parse(comments(value.slice(semicolon + 1)).outside.trim()),
  };
}

/** In the order of the header. */
export function checks(all: Field[]): Checks[] {
  const last = all.findIndex((field) => field.name === "received");
  return all
    .map((field, n) => ({ field, here: n < last }))
    .filter(({ field }) => field.name === "authentication-results")
    .slice(0, MOST)
    .map(({ field, here }) => {
      const parts = comments(field.value).outside.split(/;(?=(?:[^"]*"[^"]*")*[^"]*$)/);
      return {
        server: (parts[0] ?? "").trim().split(/\s+/)[0] ?? "",
        here,
        verdicts: parts.slice(1).map(verdict).filter((one): one is Verdict => !!one),
      };
    })
    .filter((one) => one.server && one.verdicts.length);
}

function verdict(part: string): Verdict | null {
  const start = /^\s*([a-z][a-z0-9-]*)(?:\/\d+)?\s*=\s*([a-z]+)/i.exec(part);
  if (!start) return null;
  const properties = new Map(
    [...part.matchAll(/\b((?:smtp|header|policy)\.[a-z0-9-]+)\s*=\s*("[^"]*"|[^\s;]+)/gi)]
      .map((match) => [match[1]!.toLowerCase(), match[2]!.replaceAll('"', "")] as const),
  );
  const order = ["header.d", "header.from", "smtp.mailfrom", "header.i", "smtp.helo"];
  const name = order.map((key) => properties.get(key)).find(Boolean) ?? "";
  return { method: start[1]!.toLowerCase(), result: start[2]!.toLowerCase(), of: name.replace(/^@/, "") };
}
