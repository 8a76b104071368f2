import express from "express";

const app = express();
app.get("/", (request, response) => response.cookie("visitor", "somebody").redirect("/home"));
app.get("/home", (request, response) =>
  response.send(
    `<h1>Hello from Express</h1><p>${request.headers.cookie}</p><form method="post" action="/home"><button>Send</button></form>`,
  ),
);
app.post("/home", (request, response) => response.redirect(303, `${request.protocol}://${request.get("host")}/sent`));
app.get("/sent", (request, response) => response.send("<h1>Sent</h1>"));
app.listen(3003);
