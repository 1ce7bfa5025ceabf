"""ASGI application: API, page and middleware."""

from functools import partial

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse

from groupvit.errors import InputError
from groupvit.segmentation.segmenter import Segmenter
from groupvit.serving.guard import Guard
from groupvit.serving.limits import RequestLimits
from groupvit.serving.metrics import Metrics
from groupvit.serving.page.site import Site
from groupvit.serving.prefix import Prefix
from groupvit.serving.routes import Routes
from groupvit.serving.schema import schema
from groupvit.serving.service import Service
from groupvit.serving.session_routes import SessionRoutes
from groupvit.version import VERSION


def application(
    segmenter: Segmenter,
    *,
    name: str,
    limits: RequestLimits | None = None,
    hosts: frozenset[str] | None = None,
    token: str | None = None,
    origins: frozenset[str] = frozenset(),
    root_path: str = "",
    page: bool = True,
) -> FastAPI:
    """ASGI application of the server.

    Args:
        segmenter: Model, which only the application may use.
        name: Name of the model.
        limits: Limits of requests.
        hosts: Host names that requests may be addressed to; None: any.
        token: Token that clients have to send; None: none.
        origins: Origins of other pages that may call the API.
        root_path: Path under which a proxy serves the application, such as `/groupvit`.
        page: Serve the web page at `/`.
    """
    limits, metrics = limits or RequestLimits(), Metrics()
    service = Service(segmenter, name, limits, metrics)
    app = FastAPI(
        title="groupvit",
        version=VERSION,
        lifespan=service.lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.is_stopping = False
    Routes(service).add_to(app)
    SessionRoutes(service).add_to(app)
    app.add_exception_handler(InputError, _invalid_input)
    app.add_exception_handler(RequestValidationError, _invalid_form)
    app.openapi = partial(  # type: ignore[method-assign]
        schema, app, has_token=token is not None, root_path=root_path
    )
    if page:
        Site(service).add_to(app)
    app.add_middleware(
        Guard,
        limits=limits,
        metrics=metrics,
        hosts=hosts,
        token=token,
        origins=origins,
        is_stopping=lambda: bool(app.state.is_stopping),
    )
    if origins:  # around the guard, so that pages can read its refusals, too
        app.add_middleware(
            CORSMiddleware,
            allow_origins=sorted(origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=["Retry-After"],
        )
    if root_path:
        app.add_middleware(Prefix, root_path=root_path)
    return app


async def _invalid_input(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, status_code=422)


async def _invalid_form(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    messages: dict[str, str] = {}  # of a field with several types only the first message
    for one in error.errors():
        field = str(one["loc"][min(1, len(one["loc"]) - 1)])
        messages.setdefault(field, f"{field}: {one['msg'][0].lower()}{one['msg'][1:]}")
    return JSONResponse({"detail": "; ".join(messages.values())}, status_code=422)
