"""Serve the dashboard: one ASGI process for pages and API, and a worker beside it."""

from __future__ import annotations

import os
import socket
import threading
import time
import webbrowser

from core.errors import BadInputError
from core.settings import Settings
from core.supervising import WorkerSupervisor

# Named, not imported: the core knows no screen.
_APP = "dashboard.asgi:app"


def serve(settings: Settings, *, browser: bool, worker: bool) -> None:
    """Serve until interrupted.

    Parameters
    ----------
    browser : bool
        Whether to open one.
    worker : bool
        Whether to keep a worker alive, which runs jobs and schedules.

    Raises
    ------
    BadInputError
        If the address cannot be listened on.
    """
    import uvicorn

    _refuse_taken(settings)
    # Pages read the settings themselves, in a process that may be a fresh one: what was given on the command
    # line reaches them through the environment.
    os.environ["MLFLOW_TRACKING_URI"] = settings.effective_tracking_uri
    os.environ["GREENROOM_HOME"] = str(settings.home.resolve())
    if settings.backend_uri:
        os.environ["GREENROOM_BACKEND_URI"] = settings.backend_uri
    else:
        os.environ.pop("GREENROOM_BACKEND_URI", None)
    shown = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104
    address = f"http://{shown}:{settings.port}"
    print(f"Greenroom is at {address} (Ctrl+C stops it)", flush=True)  # noqa: T201
    if browser:
        threading.Thread(target=_open_browser, args=(address, settings), daemon=True).start()
    supervisor = WorkerSupervisor(settings) if worker else None
    if supervisor is not None:
        supervisor.start()
    try:
        uvicorn.run(_APP, host=settings.host, port=settings.port, log_level="warning", access_log=False)
    finally:
        if supervisor is not None:
            supervisor.stop()


def _refuse_taken(settings: Settings) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise BadInputError(
                f"Port {settings.port} of {settings.host} cannot be used: {error.strerror}. "
                "Choose another with --port, or stop what listens there."
            ) from error


def _open_browser(address: str, settings: Settings) -> None:
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex((settings.host, settings.port)) == 0:
                break
        time.sleep(0.1)
    webbrowser.open(address)
