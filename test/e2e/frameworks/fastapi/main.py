from fastapi import FastAPI

app = FastAPI(title="Hello from FastAPI")


@app.get("/items/{item}")
def read(item: int):
    return {"item": item}
