"""One file per family of commands; a command is a plain function whose first argument is the shell."""
