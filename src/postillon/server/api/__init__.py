"""Administration over HTTP, under /api/v1: the functions of `admin` for programs and browsers."""
