"""The web client in the browser: its files, and the images that strangers' mail asks for."""
