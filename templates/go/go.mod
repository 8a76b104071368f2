module my-repl

go 1.24
