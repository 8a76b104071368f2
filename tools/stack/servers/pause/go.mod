module devex.dev/stack/pause

go 1.26.0
