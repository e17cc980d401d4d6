"""The store on PostgreSQL: for several servers that share accounts, queue and changes."""
