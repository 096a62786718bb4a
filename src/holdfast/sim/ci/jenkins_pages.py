"""The HTML with which Jenkins, and the proxy before it, answer whom they refuse."""

import html
import math
from http import HTTPStatus
from urllib.parse import quote

from aiohttp import web


def error_page(request: web.Request, status: HTTPStatus, message: str) -> web.Response:
    """Answer with the page of Jenkins' web server, whatever was asked for."""
    said, uri = html.escape(message), html.escape(request.raw_path)
    text = (
        f'<html>\n<head>\n<meta http-equiv="Content-Type" content="text/html;charset=ISO-8859-1"/>\n'
        f"<title>Error {status.value} {said}</title>\n</head>\n"
        f"<body><h2>HTTP ERROR {status.value} {said}</h2>\n"
        f"<table>\n<tr><th>URI:</th><td>{uri}</td></tr>\n<tr><th>STATUS:</th><td>{status.value}</td></tr>\n"
        f"<tr><th>MESSAGE:</th><td>{said}</td></tr>\n<tr><th>SERVLET:</th><td>Stapler</td></tr>\n</table>\n"
        f'<hr/><a href="https://jetty.org/">Powered by Jetty:// 12.0.22</a><hr/>\n\n</body>\n</html>\n'
    )
    headers = {"X-Jenkins": "2.516.2"}
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Basic realm="Jenkins"'
    return web.Response(status=status, text=text, content_type="text/html", headers=headers)


def login_page(request: web.Request) -> web.Response:
    """Send whoever names nobody to the page for logging in."""
    login = f"/login?from={quote(request.raw_path, safe='')}"
    text = (
        f"<html><head><meta http-equiv='refresh' content='1;url={login}'/>"
        f"<script>window.location.replace('{login}');</script></head>"
        f"<body style='background-color:white; color:white;'>\nAuthentication required\n<!--\n-->\n</body>"
        f"</html>"
    )
    headers = {"X-Jenkins": "2.516.2"}
    return web.Response(status=HTTPStatus.FORBIDDEN, text=text, content_type="text/html", headers=headers)


def proxy_refuses(wait_seconds: float) -> web.Response:
    """Answer as the proxy: too many requests, and when to come back."""
    text = (
        "<html>\r\n<head><title>429 Too Many Requests</title></head>\r\n<body>\r\n"
        "<center><h1>429 Too Many Requests</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n"
        "</html>\r\n"
    )
    headers = {"Retry-After": str(math.ceil(wait_seconds))}
    return web.Response(
        status=HTTPStatus.TOO_MANY_REQUESTS, text=text, content_type="text/html", headers=headers
    )
