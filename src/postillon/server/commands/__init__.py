"""One module for each command of `postillon`. They read options and print; `admin` does the work."""
