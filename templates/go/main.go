package main

import (
	"fmt"
	"html"
	"log"
	"net/http"
	"runtime"
)

const port = 8080

func hello(response http.ResponseWriter, request *http.Request) {
	response.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(response, "<h1>Hello from %s</h1><p>You asked for <code>%s</code></p>",
		runtime.Version(), html.EscapeString(request.URL.Path))
}

func main() {
	http.HandleFunc("/", hello)
	log.Printf("Listening on port %d", port)
	log.Fatal(http.ListenAndServe(fmt.Sprintf(":%d", port), nil))
}
