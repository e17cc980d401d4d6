/** As that of mail: who administers, and what the first page shows, while everything else is on its way. */

import { ahead, begin, token } from "../lib/ahead";

const FIRST = ["/api/v1/queue", "/api/v1/server/health", "/api/v1/server/activity?minutes=60"]; // of the overview

async function first(): Promise<void> {
  void ahead("GET", "/api/v1/setup");
  const given = await token();
  if (!given.token) return;
  const overview = /^(#\/?|#\/overview)?$/.test(location.hash);
  for (const url of ["/api/v1/server", ...(overview ? FIRST : [])]) void ahead("GET", url, "", given.token);
}

begin(first);
