from aiohttp import web


def hang_up(request: web.Request) -> web.Response:
    """Break the connection before anything is answered; the response returned goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
