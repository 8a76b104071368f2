#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORT = 8080, MAXIMUM_REQUEST = 8192 };

static void fail(const char *what) {
  perror(what);
  exit(EXIT_FAILURE);
}

static void print_escaped(FILE *out, const char *text) {
  for (; *text != '\0'; text++) {
    if (strchr("&<>\"", *text) != NULL)
      fprintf(out, "&#%d;", *text);
    else
      fputc(*text, out);
  }
}

/* Reads one request up to its empty line and answers it with a page. */
static void answer(int connection) {
  char request[MAXIMUM_REQUEST + 1] = "";
  size_t length = 0;
  while (length < MAXIMUM_REQUEST && strstr(request, "\r\n\r\n") == NULL) {
    ssize_t count = read(connection, request + length, MAXIMUM_REQUEST - length);
    if (count <= 0) break;
    length += (size_t)count;
    request[length] = '\0';
  }
  char path[1024] = "/";
  sscanf(request, "%*s %1023s", path);
  FILE *out = fdopen(connection, "w");
  if (out == NULL) {
    close(connection);
    return;
  }
  fputs("HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close\r\n\r\n", out);
  fputs("<h1>Hello from C</h1><p>You asked for <code>", out);
  print_escaped(out, path);
  fputs("</code></p>", out);
  fclose(out);
}

int main(void) {
  /* A visitor who leaves early must not end the server. */
  signal(SIGPIPE, SIG_IGN);
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0) fail("socket");
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
  if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
  if (listen(listener, SOMAXCONN) < 0) fail("listen");
  printf("Listening on port %d\n", PORT);
  fflush(stdout);
  for (;;) {
    int connection = accept(listener, NULL, NULL);
    if (connection >= 0) answer(connection);
  }
}
