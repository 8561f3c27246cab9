"""Nobody's feature, everybody's help: files, the terminal, a call in another process, standard error."""
