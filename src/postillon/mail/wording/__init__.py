"""What reports say to people, one module for each language; `languages` chooses among them."""
