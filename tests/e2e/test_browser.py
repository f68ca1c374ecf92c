"""The admin pages in a real browser: what Chromium sends decides, not what a client with fewer headers does."""

import http.server
import threading

import pytest

from tintype import wait_until
from webdriver import Browser

# Not a loopback name: by plain HTTP, browsers say nothing there of where a request comes from but `Origin`.
LAN_NAME = "pictures.example"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(
        tmp_path_factory.mktemp("browser") / "profile", [f"--host-resolver-rules=MAP {LAN_NAME} 127.0.0.1"]
    )
    yield browser
    browser.close()


@pytest.fixture
def pages(new_server):
    return new_server(config=f'allowed_hosts = ["{LAN_NAME}"]\n').start()


@pytest.fixture
def elsewhere():
    """Serves one page from another port: `serve(html)` answers its URL."""
    servers = []

    def serve(html):
        class Page(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(html.encode())

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}/"

    yield serve
    for server in servers:
        server.shutdown()


def sign_in(browser, server, base):
    browser.open(f"{base}/admin/login")
    browser.type("input[name=token]", server.token)
    browser.click("form[action='/admin/login'] button")
    wait_until(lambda: browser.text("h1") == "Pictures", "signed in", log=server.log)
    assert browser.url == f"{base}/admin"


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", LAN_NAME])
def test_a_person_signs_in_and_out(browser, pages, name):
    base = f"http://{name}:{pages.port}"
    sign_in(browser, pages, base)
    session = browser.cookies()["tintype_session"]
    cookie = {"Cookie": f"tintype_session={session}"}
    assert pages.request("GET", "/api/v1/stats", cookie).status == 200
    browser.click("form[action='/admin/logout'] button")
    wait_until(lambda: browser.url == f"{base}/admin/login", "signed out", log=pages.log)
    assert "tintype_session" not in browser.cookies()
    assert pages.request("GET", "/api/v1/stats", cookie).status == 401, "whoever kept the cookie is signed out too"
    browser.open(f"{base}/admin")
    assert browser.find("input[name=token]")


def test_a_wrong_token_is_told(browser, pages):
    browser.open(f"{pages.url}/admin/login")
    browser.type("input[name=token]", "wrong")
    browser.click("form button")
    wait_until(lambda: browser.text("p.rejected") == "That is not the admin token.", "told", log=pages.log)


def test_the_link_that_is_printed_signs_in(browser, pages):
    browser.open(f"{pages.url}/admin/login?token={pages.token}")
    assert browser.text("h1") == "Pictures"
    assert pages.token not in browser.url


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", LAN_NAME])
@pytest.mark.parametrize("policy", ["no-referrer", "unsafe-url"])
def test_forms_of_another_origin_are_refused(browser, pages, elsewhere, name, policy):
    base = f"http://{name}:{pages.port}"
    log_in = f"""<meta name="referrer" content="{policy}"><h1>Elsewhere</h1>
        <form method="post" action="{base}/admin/login"><input name="token" value="{pages.token}">
        <button>Win</button></form>"""
    browser.open(elsewhere(log_in))
    browser.click("button")
    wait_until(lambda: browser.text("h1") == "Forbidden", "refused", log=pages.log)
    assert browser.url == f"{base}/admin/login"
    # The browser may hold the cookie of an earlier server: cookies do not know ports.
    cookie = {"Cookie": "tintype_session=" + browser.cookies().get("tintype_session", "")}
    assert pages.request("GET", "/api/v1/stats", cookie).status == 401, "no session was opened"

    sign_in(browser, pages, base)
    session = browser.cookies()["tintype_session"]
    log_out = log_in.replace("/admin/login", "/admin/logout")
    browser.open(elsewhere(log_out))
    browser.click("button")
    # From another site the browser leaves out the session's cookie, and the page asks for a token.
    wait_until(lambda: browser.url == f"{base}/admin/logout", "an answer", log=pages.log)
    assert browser.text("h1") in ("Forbidden", "Tintype")
    cookie = {"Cookie": f"tintype_session={session}"}
    assert pages.request("GET", "/api/v1/stats", cookie).status == 200, "the session goes on"


def test_scripts_of_another_origin_are_refused(browser, pages, elsewhere):
    sign_in(browser, pages, pages.url)
    key = "keep.jpg"
    pages.put(key, b"not a picture")
    browser.open(elsewhere("<h1>Elsewhere</h1>"))
    # Both ports are one site, so the cookie goes along.
    browser.run(
        f"""return fetch("{pages.url}/admin/logout", {{method: "POST", mode: "no-cors", credentials: "include"}})
            .then(() => "sent", error => String(error))"""
    )
    browser.open(f"{pages.url}/admin")
    assert browser.text("h1") == "Pictures", "the session goes on"


def test_people_are_told_in_pages(browser, pages):
    sign_in(browser, pages, pages.url)
    for path, title in [
        ("/admin/nothing", "Not Found"),
        ("/admin?status=x", "Bad Request"),
        ("/admin/logout", "Method Not Allowed"),
        ("/admin/image?key=never.jpg", "Not Found"),
    ]:
        browser.open(pages.url + path)
        assert browser.text("h1") == title, path
    browser.open(pages.url + "/")
    assert browser.url == f"{pages.url}/admin"
