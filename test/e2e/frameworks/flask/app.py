from flask import Flask, flash, redirect, render_template_string, url_for

app = Flask(__name__)
app.secret_key = "for the test"
PAGE = """<h1>Hello from Flask</h1>{% for message in get_flashed_messages() %}<p>{{ message }}</p>{% endfor %}
<form method="post" action="{{ url_for('send') }}"><button>Send</button></form>"""


@app.get("/")
def home():
    return render_template_string(PAGE)


@app.post("/send")
def send():
    flash("Sent")
    return redirect(url_for("home", _external=True))
