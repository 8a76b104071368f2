# Read by every terminal of a REPL. What people install for themselves lies in their home, for as long as the REPL is open.
PATH=$HOME/.local/bin:$PATH
